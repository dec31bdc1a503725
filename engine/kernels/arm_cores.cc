// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/arm_cores.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace cleave::kernels {
namespace {

// Of the main identification register: the implementer's code and the part's number.
constexpr std::uint64_t kArm = 0x41;
constexpr std::uint64_t kInOrderParts[] = {0xD03, 0xD05};  // Cortex-A53, A55

bool is_cpu(const std::string& name) {
  return name.starts_with("cpu") && name.size() > 3 &&
         name.find_first_not_of("0123456789", 3) == std::string::npos;
}

std::optional<std::uint64_t> read_midr(const std::filesystem::path& cpu) {
  std::ifstream file(cpu / "regs/identification/midr_el1");
  std::uint64_t midr = 0;
  if (!(file >> std::hex >> midr)) return std::nullopt;
  return midr;
}

bool in_order(std::uint64_t midr) {
  const std::uint64_t implementer = midr >> 24 & 0xFF;
  const std::uint64_t part = midr >> 4 & 0xFFF;
  return implementer == kArm && std::find(std::begin(kInOrderParts), std::end(kInOrderParts),
                                          part) != std::end(kInOrderParts);
}

}  // namespace

bool all_cores_in_order(const char* cpu_folder) {
  std::error_code error;
  bool found = false;
  std::filesystem::directory_iterator entry(cpu_folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (!is_cpu(entry->path().filename().string())) continue;
    const std::optional<std::uint64_t> midr = read_midr(entry->path());
    if (!midr || !in_order(*midr)) return false;
    found = true;
  }
  return found && !error;
}

}  // namespace cleave::kernels
