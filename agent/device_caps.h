// SPDX-License-Identifier: Apache-2.0
//
// What the device really has: memory that can still be used, storage that is still free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/status.h"

namespace cleave::agent {

// Where a cap came from, for the line that explains a plan.
enum class CapSource : std::uint8_t { kUnknown, kGiven, kMemAvailable, kCgroup, kFileSystem };

const char* cap_source_name(CapSource source);

struct Cap {
  std::uint64_t bytes = UINT64_MAX;
  CapSource source = CapSource::kUnknown;
};

struct DeviceCaps {
  Cap ram;      // for the whole process: what it may still take, and what it has already
  Cap storage;  // for models: what is free on the model's file system, and the model's own bytes
};

// Reads /proc/meminfo, the process's cgroup v2 and the model's file system. Of each control group
// from the process's own to the root, what counts is memory.max or memory.high (the smaller) less
// memory.current, plus its inactive file cache; the least of them and this process's anonymous
// memory is the cap, unless the whole machine has less available. `root` is put in
// front of /proc and /sys, so that tests bring a tree of their own; empty for the real one.
// What cannot be read is left kUnknown and bounds nothing.
[[nodiscard]] DeviceCaps detect_caps(const std::string& model_path, std::uint64_t model_file_bytes,
                                     const std::string& root = {});

// VmRSS of this process in bytes; 0 when it cannot be read.
[[nodiscard]] std::uint64_t resident_bytes(const std::string& root = {});

// "model name" or CPU part of /proc/cpuinfo and the number of cores this process may use; ties a
// profile to a processor.
[[nodiscard]] std::string processor_name(const std::string& root = {});

// Cores that this process may use.
[[nodiscard]] unsigned usable_cores();

// Reads a size: a number with an optional suffix B, kB, MB, GB (powers of 1000) or KiB, MiB, GiB.
// Errors: kInvalidArgument with the form.
[[nodiscard]] Result<std::uint64_t> parse_bytes(const std::string& text);
// Reads a rate: a number with a suffix bit, kbit, mbit or gbit (per second; powers of 1000).
[[nodiscard]] Result<std::uint64_t> parse_bits_per_second(const std::string& text);
// Reads a time: a number with a suffix ns, us, ms or s. Gives nanoseconds.
[[nodiscard]] Result<std::uint64_t> parse_duration_ns(const std::string& text);

}  // namespace cleave::agent
