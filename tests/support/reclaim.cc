// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reclaim.h"

#include <fstream>
#include <string>

namespace cleave::test {
namespace {

// "pgsteal" in a control group's memory.stat, "pgsteal_kswapd" and others in vmstat: sums may count
// a page twice, which does not matter here.
std::uint64_t pages_stolen(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t pages = 0;
  std::string key;
  for (std::uint64_t value = 0; file >> key >> value;) {
    if (key.starts_with("pgsteal")) pages += value;
  }
  return pages;
}

std::string own_control_group() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + line.substr(3);
  }
  return "/sys/fs/cgroup";
}

}  // namespace

std::uint64_t reclaimed_pages() {
  // What others in the machine lose says nothing of us.
  const std::string own = own_control_group() + "/memory.stat";
  return pages_stolen(std::ifstream(own).good() ? own : "/proc/vmstat");
}

Verdict judge_residency(const std::function<bool()>& holds) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t before = reclaimed_pages();
    if (holds()) return Verdict::kHolds;
    if (reclaimed_pages() == before) return Verdict::kFails;
  }
  return Verdict::kPagesWereReclaimed;
}

}  // namespace cleave::test
