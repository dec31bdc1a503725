// SPDX-License-Identifier: Apache-2.0
#include "agent/device_caps.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

// A tree that stands for /proc and /sys.
struct FakeSystem {
  test::TemporaryFolder folder;

  void write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  [[nodiscard]] std::string root() const { return folder.path().string(); }
  [[nodiscard]] Cap ram() const { return detect_caps(root(), 0, root()).ram; }
};

constexpr std::uint64_t kMiB = 1024 * 1024;

}  // namespace

TEST_CASE("MemAvailable and what the process holds already") {
  const FakeSystem system;
  system.write("proc/meminfo", "MemTotal:  1000000 kB\nMemAvailable:   512000 kB\n");
  system.write("proc/self/status", "Name:\tx\nVmRSS:\t    4096 kB\n");
  CHECK(system.ram().bytes == (512000 + 4096) * 1024ULL);
  CHECK(system.ram().source == CapSource::kMemAvailable);
}

TEST_CASE("the strictest control group from the process's own to the root") {
  const FakeSystem system;
  system.write("proc/meminfo", "MemAvailable: 4096000 kB\n");
  system.write("proc/self/cgroup", "0::/a/b\n");
  system.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  CHECK(system.ram().source == CapSource::kMemAvailable);
  system.write("sys/fs/cgroup/a/b/memory.max", "268435456\n");
  CHECK(system.ram().bytes == 256 * kMiB);
  CHECK(system.ram().source == CapSource::kCgroup);
  system.write("sys/fs/cgroup/a/memory.max", "134217728\n");
  CHECK(system.ram().bytes == 128 * kMiB);
  system.write("sys/fs/cgroup/a/b/memory.high", "67108864\n");
  CHECK(system.ram().bytes == 64 * kMiB);
}

TEST_CASE("what cannot be read bounds nothing") {
  const FakeSystem system;
  CHECK(system.ram().source == CapSource::kUnknown);
  CHECK(system.ram().bytes == UINT64_MAX);
  CHECK(detect_caps("/no/such/path", 5).storage.source == CapSource::kUnknown);
}

TEST_CASE("storage is what is free and the model's own bytes") {
  const FakeSystem system;
  const Cap without = detect_caps(system.root(), 0).storage;
  CHECK(without.source == CapSource::kFileSystem);
  CHECK(without.bytes > 0);
}

TEST_CASE("the processor's name on x86 and on Arm") {
  const FakeSystem system;
  system.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n");
  CHECK(processor_name(system.root()).find("Some CPU @ 2 GHz, ") == 0);
  system.write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n");
  CHECK(processor_name(system.root()).find("CPU part 0xd08, ") == 0);
}

TEST_CASE("sizes, rates and times as people write them") {
  CHECK(*parse_bytes("64MiB") == 64 * kMiB);
  CHECK(*parse_bytes("500 MB") == 500'000'000);
  CHECK(*parse_bytes("1.5kib") == 1536);
  CHECK(*parse_bytes("7") == 7);
  CHECK(*parse_bits_per_second("10mbit") == 10'000'000);
  CHECK(*parse_bits_per_second("500kbit") == 500'000);
  CHECK(*parse_duration_ns("40ms") == 40'000'000);
  CHECK(*parse_duration_ns("2s") == 2'000'000'000);
  for (const char* bad : {"", "x", "-1MiB", "10 parsec", "1e30GiB"}) {
    CAPTURE(bad);
    CHECK(parse_bytes(bad).status().code() == StatusCode::kInvalidArgument);
  }
  // A rate without a unit could be bytes or bits: refused.
  CHECK(parse_bits_per_second("10").status().code() == StatusCode::kInvalidArgument);
  CHECK(parse_duration_ns("10").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("what others in a control group hold is not there for this process") {
  const FakeSystem system;
  system.write("proc/meminfo", "MemAvailable: 4096000 kB\n");
  system.write("proc/self/cgroup", "0::/a/b\n");
  system.write("sys/fs/cgroup/a/b/memory.max", "268435456\n");      // 256 MiB
  system.write("sys/fs/cgroup/a/b/memory.current", "104857600\n");  // 100 MiB
  CHECK(system.ram().bytes == 156 * kMiB);
  // File cache that can be dropped is room; recently used file cache is not.
  system.write("sys/fs/cgroup/a/b/memory.stat",
               "anon 52428800\nfile 52428800\nactive_file 31457280\ninactive_file 20971520\n");
  CHECK(system.ram().bytes == 176 * kMiB);
  // What the process itself holds is part of its cap.
  system.write("proc/self/status", "VmRSS:\t    9000 kB\nRssAnon:\t    4096 kB\n");
  CHECK(system.ram().bytes == 180 * kMiB);
  CHECK(system.ram().source == CapSource::kCgroup);
  // A parent with a larger limit that siblings have filled leaves less.
  system.write("sys/fs/cgroup/a/memory.high", "1073741824\n");     // 1 GiB
  system.write("sys/fs/cgroup/a/memory.current", "1040187392\n");  // 992 MiB
  CHECK(system.ram().bytes == 36 * kMiB);
  // A group over its limit leaves nothing; what cannot be is no extra.
  system.write("sys/fs/cgroup/a/memory.current", "2147483648\n");
  CHECK(system.ram().bytes == 0);
  system.write("sys/fs/cgroup/a/memory.current", "1048576\n");
  system.write("sys/fs/cgroup/a/b/memory.current", "1048576\n");
  CHECK(system.ram().bytes == 256 * kMiB);
}

}  // namespace cleave::agent
