// SPDX-License-Identifier: Apache-2.0
#include "agent/device_caps.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "agent/system_files.h"

namespace cleave::agent {
namespace {

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

// The limit counts what is mapped, resident or not; a plan counts what is resident.
std::optional<std::uint64_t> address_space(const std::string& root) {
  const auto limit = read_field(root + "/proc/self/limits", "Max address space");
  if (!limit) return std::nullopt;  // unlimited
  const std::uint64_t mapped = read_kib_field(root + "/proc/self/status", "VmSize:").value_or(0);
  const std::uint64_t not_resident = mapped - std::min(mapped, resident_bytes(root));
  return *limit - std::min(*limit, not_resident);
}

// What this process has of the machine's memory. Its pages of files are available to everybody
// already, as the kernel counts.
std::uint64_t own_memory(const std::string& root) {
  const std::string status = root + "/proc/self/status";
  const auto anonymous = read_kib_field(status, "RssAnon:");
  if (!anonymous) return resident_bytes(root);  // a kernel that does not tell them apart
  return *anonymous + read_kib_field(status, "RssShmem:").value_or(0);
}

std::vector<Cap> ram_bounds(const std::string& root) {
  std::vector<Cap> bounds;
  if (const auto available = read_kib_field(root + "/proc/meminfo", "MemAvailable:")) {
    bounds.push_back({*available + own_memory(root), CapSource::kMemAvailable});
  }
  if (const auto share = cgroup_share(root)) bounds.push_back({*share, CapSource::kCgroup});
  if (const auto room = address_space(root)) bounds.push_back({*room, CapSource::kAddressSpace});
  return bounds;
}

Cap detect_storage(const std::string& model_path, std::uint64_t model_file_bytes) {
  struct statvfs info {};
  if (statvfs(model_path.c_str(), &info) != 0) return {};
  const std::uint64_t free_bytes = std::uint64_t{info.f_bavail} * info.f_frsize;
  return {free_bytes + model_file_bytes, CapSource::kFileSystem};
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
    case CapSource::kAddressSpace:
      return "address-space limit";
    case CapSource::kFileSystem:
      return "file system";
  }
  return "?";
}

DeviceCaps detect_caps(const std::string& model_path, std::uint64_t model_file_bytes,
                       const std::string& root) {
  DeviceCaps caps{.ram = {},
                  .storage = detect_storage(model_path, model_file_bytes),
                  .ram_bounds = ram_bounds(root),
                  .processor = detect_processor(root)};
  for (const Cap& bound : caps.ram_bounds) {
    if (bound.bytes < caps.ram.bytes) caps.ram = bound;
  }
  return caps;
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

}  // namespace cleave::agent
