// SPDX-License-Identifier: Apache-2.0
#include "agent/device_caps.h"

#include <sched.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace cleave::agent {
namespace {

// The number after `key` in a file of lines that begin with a key.
std::optional<std::uint64_t> read_field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    std::istringstream rest(line.substr(key.size()));
    std::uint64_t value = 0;
    if (rest >> value) return value;
  }
  return std::nullopt;
}

// The same of "Key:   number kB" lines, in bytes.
std::optional<std::uint64_t> read_kib_field(const std::string& path, const std::string& key) {
  const auto kib = read_field(path, key);
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or "max"
}

// What memory.max and memory.high of one group leave to this process, beside what others in the
// group hold. `own` bytes of what it holds are this process's; clean file pages that nobody used
// lately are given up by the kernel before anybody is stopped. Missing: no limit.
std::optional<std::uint64_t> group_share(const std::string& folder, std::uint64_t own) {
  std::optional<std::uint64_t> limit;
  for (const char* name : {"/memory.max", "/memory.high"}) {
    if (const auto value = read_number(folder + name)) {
      limit = std::min(limit.value_or(*value), *value);
    }
  }
  if (!limit) return std::nullopt;
  const std::uint64_t held = read_number(folder + "/memory.current").value_or(0);
  const std::uint64_t reclaimable =
      read_field(folder + "/memory.stat", "inactive_file ").value_or(0);
  const std::uint64_t others = held - std::min(held, reclaimable + own);
  return *limit - std::min(*limit, others);
}

// The least share from the process's group up to the root: a parent's limit binds as well, and what
// its other children hold counts there.
std::optional<std::uint64_t> cgroup_share(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string group;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("0::", 0) == 0) group = line.substr(3);
  }
  if (group.empty()) return std::nullopt;
  // Only anonymous memory is surely counted by this group, and surely not as reclaimable.
  const std::uint64_t own = read_kib_field(root + "/proc/self/status", "RssAnon:").value_or(0);
  std::optional<std::uint64_t> least;
  for (std::filesystem::path path = group;; path = path.parent_path()) {
    const std::string folder = root + "/sys/fs/cgroup" + (path == "/" ? "" : path.string());
    if (const auto share = group_share(folder, own)) {
      least = std::min(least.value_or(*share), *share);
    }
    if (!path.has_relative_path()) break;
  }
  return least;
}

Cap detect_ram(const std::string& root) {
  Cap cap;
  if (const auto available = read_kib_field(root + "/proc/meminfo", "MemAvailable:")) {
    cap = {*available + resident_bytes(root), CapSource::kMemAvailable};
  }
  if (const auto share = cgroup_share(root); share && *share < cap.bytes) {
    cap = {*share, CapSource::kCgroup};
  }
  return cap;
}

Cap detect_storage(const std::string& model_path, std::uint64_t model_file_bytes) {
  struct statvfs info {};
  if (statvfs(model_path.c_str(), &info) != 0) return {};
  const std::uint64_t free_bytes = std::uint64_t{info.f_bavail} * info.f_frsize;
  return {free_bytes + model_file_bytes, CapSource::kFileSystem};
}

struct Unit {
  const char* suffix;
  std::uint64_t factor;
};

template <std::size_t N>
Result<std::uint64_t> parse_with_units(const std::string& text, const Unit (&units)[N],
                                       const char* form) {
  const Status bad(StatusCode::kInvalidArgument, "'" + text + "' is not " + form);
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double number = 0;
  std::string suffix;
  if (!(stream >> number) || number < 0) return bad;
  stream >> suffix;
  if (std::string rest; stream >> rest) suffix += " " + rest;
  std::ranges::transform(suffix, suffix.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Unit& unit : units) {
    if (suffix != unit.suffix) continue;
    const double value = number * static_cast<double>(unit.factor);
    if (value >= 1.8e19) return bad;
    return static_cast<std::uint64_t>(value + 0.5);
  }
  return bad;
}

}  // namespace

const char* cap_source_name(CapSource source) {
  switch (source) {
    case CapSource::kUnknown:
      return "not known";
    case CapSource::kGiven:
      return "given";
    case CapSource::kMemAvailable:
      return "available memory";
    case CapSource::kCgroup:
      return "control group";
    case CapSource::kFileSystem:
      return "file system";
  }
  return "?";
}

DeviceCaps detect_caps(const std::string& model_path, std::uint64_t model_file_bytes,
                       const std::string& root) {
  return {.ram = detect_ram(root), .storage = detect_storage(model_path, model_file_bytes)};
}

std::uint64_t resident_bytes(const std::string& root) {
  return read_kib_field(root + "/proc/self/status", "VmRSS:").value_or(0);
}

std::string processor_name(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  std::string name = "unknown processor";
  for (std::string line; std::getline(file, line);) {
    const bool x86 = line.rfind("model name", 0) == 0;
    const bool arm = line.rfind("CPU part", 0) == 0;
    if (!x86 && !arm) continue;
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    name = (arm ? "CPU part " : "") + line.substr(colon + 2);
    break;
  }
  const unsigned cores = usable_cores();
  return name + ", " + std::to_string(cores) + (cores == 1 ? " core" : " cores");
}

unsigned usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

Result<std::uint64_t> parse_bytes(const std::string& text) {
  static constexpr Unit kUnits[] = {{"", 1},
                                    {"b", 1},
                                    {"kb", 1000},
                                    {"mb", 1000'000},
                                    {"gb", 1000'000'000},
                                    {"kib", 1024},
                                    {"mib", 1024 * 1024},
                                    {"gib", 1024ULL * 1024 * 1024}};
  return parse_with_units(text, kUnits, "a size; write for example 64MiB or 500MB");
}

Result<std::uint64_t> parse_bits_per_second(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"bit", 1}, {"kbit", 1000}, {"mbit", 1000'000}, {"gbit", 1000'000'000}};
  return parse_with_units(text, kUnits, "a rate; write for example 10mbit or 500kbit");
}

Result<std::uint64_t> parse_duration_ns(const std::string& text) {
  static constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000'000}, {"s", 1000'000'000}};
  return parse_with_units(text, kUnits, "a time; write for example 40ms or 2s");
}

}  // namespace cleave::agent
