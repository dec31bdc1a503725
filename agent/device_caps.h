// SPDX-License-Identifier: Apache-2.0
//
// What the device really has: memory that can still be used, storage that is still free, and how
// fast it computes now.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/processor_state.h"
#include "agent/units.h"

namespace cleave::agent {

// Where a cap came from, for the line that explains a plan.
enum class CapSource : std::uint8_t {
  kUnknown,
  kGiven,
  kMemAvailable,
  kCgroup,
  kAddressSpace,  // RLIMIT_AS
  kFileSystem,
};

const char* cap_source_name(CapSource source);

struct Cap {
  std::uint64_t bytes = UINT64_MAX;
  CapSource source = CapSource::kUnknown;
};

struct DeviceCaps {
  Cap ram;      // for the whole process: what it may still take, and what it has already
  Cap storage;  // for models: what is free on the model's file system, and the model's own bytes
  std::vector<Cap> ram_bounds;  // everything that was found to bound `ram`, which is the least
  ProcessorState processor;
};

// Reads /proc/meminfo, the process's limits and cgroup v2, the model's file system, and the
// processor's state. Memory is the least of
//   - what the machine has available, and what this process holds and nobody else could have;
//   - of each control group from the process's own to the root, memory.max or memory.high (the
//     smaller) less memory.current, plus its inactive file cache, plus this process's anonymous
//     memory;
//   - RLIMIT_AS less what is mapped and not resident.
// `root` is put in front of /proc and /sys, so that tests bring a tree of their own; empty for the
// real one. What cannot be read is left kUnknown and bounds nothing.
[[nodiscard]] DeviceCaps detect_caps(const std::string& model_path, std::uint64_t model_file_bytes,
                                     const std::string& root = {});

// VmRSS of this process in bytes; 0 when it cannot be read.
[[nodiscard]] std::uint64_t resident_bytes(const std::string& root = {});

// "model name" or CPU part of /proc/cpuinfo and the number of cores this process may use; ties a
// profile to a processor.
[[nodiscard]] std::string processor_name(const std::string& root = {});

}  // namespace cleave::agent
