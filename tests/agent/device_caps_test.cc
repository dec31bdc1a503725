// SPDX-License-Identifier: Apache-2.0
#include "agent/device_caps.h"

#include <doctest/doctest.h>

#include "tests/support/fake_system.h"

namespace cleave::agent {
namespace {

struct CapsSystem : test::FakeSystem {
  [[nodiscard]] Cap ram() const { return detect_caps(root(), 0, root()).ram; }
};

constexpr std::uint64_t kMiB = 1024 * 1024;

}  // namespace

TEST_CASE("MemAvailable and what the process holds already") {
  const CapsSystem system;
  system.write("proc/meminfo", "MemTotal:  1000000 kB\nMemAvailable:   512000 kB\n");
  system.write("proc/self/status", "Name:\tx\nVmRSS:\t    4096 kB\n");
  CHECK(system.ram().bytes == (512000 + 4096) * 1024ULL);
  CHECK(system.ram().source == CapSource::kMemAvailable);
}

TEST_CASE("the strictest control group from the process's own to the root") {
  const CapsSystem system;
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
  const CapsSystem system;
  CHECK(system.ram().source == CapSource::kUnknown);
  CHECK(system.ram().bytes == UINT64_MAX);
  CHECK(detect_caps("/no/such/path", 5).storage.source == CapSource::kUnknown);
}

TEST_CASE("storage is what is free and the model's own bytes") {
  const CapsSystem system;
  const Cap without = detect_caps(system.root(), 0).storage;
  CHECK(without.source == CapSource::kFileSystem);
  CHECK(without.bytes > 0);
}

TEST_CASE("the processor's name on x86 and on Arm") {
  const CapsSystem system;
  system.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n");
  CHECK(processor_name(system.root()).find("Some CPU @ 2 GHz, ") == 0);
  system.write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n");
  CHECK(processor_name(system.root()).find("CPU part 0xd08, ") == 0);
}

TEST_CASE("what others in a control group hold is not there for this process") {
  const CapsSystem system;
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

TEST_CASE("of what the process holds, only what nobody else could have is room to come") {
  const CapsSystem system;
  system.write("proc/meminfo", "MemAvailable: 512000 kB\n");
  // Pages of mapped files count as available already.
  system.write(
      "proc/self/status",
      "VmRSS:\t  9000 kB\nRssAnon:\t  4000 kB\nRssFile:\t  4900 kB\nRssShmem:\t  100 kB\n");
  CHECK(system.ram().bytes == (512000 + 4000 + 100) * 1024ULL);
}

TEST_CASE("RLIMIT_AS bounds what is mapped, resident or not") {
  const CapsSystem system;
  system.write("proc/meminfo", "MemAvailable: 4096000 kB\n");
  system.write("proc/self/status", "VmSize:\t  51200 kB\nVmRSS:\t  10240 kB\nRssAnon:\t 0 kB\n");
  const std::string header = "Limit                     Soft Limit           Hard Limit   Units\n";
  system.write("proc/self/limits",
               header + "Max address space         unlimited            unlimited    bytes\n");
  CHECK(system.ram().source == CapSource::kMemAvailable);
  CHECK(detect_caps(system.root(), 0, system.root()).ram_bounds.size() == 1);
  system.write("proc/self/limits",
               header + "Max address space         134217728            unlimited    bytes\n");
  CHECK(system.ram().source == CapSource::kAddressSpace);
  CHECK(system.ram().bytes == (128 - 40) * kMiB);
  // Mapped beyond the limit: nothing is left, and nothing wraps.
  system.write("proc/self/limits", "Max address space         1048576     1048576      bytes\n");
  CHECK(system.ram().bytes == 0);
}

TEST_CASE("every bound that was found is there, and the least is the cap") {
  const CapsSystem system;
  system.write("proc/meminfo", "MemAvailable: 512000 kB\n");
  system.write("proc/self/cgroup", "0::/a\n");
  system.write("sys/fs/cgroup/a/memory.max", "67108864\n");
  system.write("proc/self/limits", "Max address space         134217728      unlimited    bytes\n");
  const DeviceCaps caps = detect_caps(system.root(), 0, system.root());
  REQUIRE(caps.ram_bounds.size() == 3);
  CHECK(caps.ram_bounds[0].source == CapSource::kMemAvailable);
  CHECK(caps.ram_bounds[1].source == CapSource::kCgroup);
  CHECK(caps.ram_bounds[2].bytes == 128 * kMiB);
  CHECK(caps.ram.bytes == 64 * kMiB);
  CHECK(caps.ram.source == CapSource::kCgroup);
}

}  // namespace cleave::agent
