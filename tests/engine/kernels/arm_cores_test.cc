// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/arm_cores.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

// What the kernels of a Raspberry Pi 3B+, 4 and 5 show.
constexpr const char* kA53 = "0x00000000410fd034\n";
constexpr const char* kA72 = "0x00000000410fd083\n";
constexpr const char* kA76 = "0x00000000414fd0b1\n";
constexpr const char* kA55 = "0x00000000412fd050\n";

// One core a register; an empty one is a core without that file.
bool in_order(const std::vector<std::string>& registers) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "cpufreq");
  std::ofstream(folder.path() / "present") << "0-3\n";
  for (std::size_t i = 0; i < registers.size(); ++i) {
    const auto cpu = folder.path() / ("cpu" + std::to_string(i)) / "regs/identification";
    std::filesystem::create_directories(cpu);
    if (!registers[i].empty()) std::ofstream(cpu / "midr_el1") << registers[i];
  }
  return kernels::all_cores_in_order(folder.path().c_str());
}

TEST_CASE("all cores have to issue in order, and to be known") {
  CHECK(in_order({kA53, kA53, kA53, kA53}));
  CHECK(in_order({kA53, kA55}));
  CHECK_FALSE(in_order({kA72, kA72}));
  CHECK_FALSE(in_order({kA76}));
  CHECK_FALSE(in_order({kA53, kA53, kA53, kA53, kA72, kA72}));
  CHECK_FALSE(in_order({kA53, ""}));
  CHECK_FALSE(in_order({"not a number\n"}));
  CHECK_FALSE(in_order({"0x00000000510fd030\n"}));  // another implementer's part of that number
  CHECK_FALSE(in_order({}));
  CHECK_FALSE(kernels::all_cores_in_order("/nowhere"));
}

}  // namespace
}  // namespace cleave::test
