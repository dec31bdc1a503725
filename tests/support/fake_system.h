// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace cleave::test {

// A tree that stands for /proc and /sys.
struct FakeSystem {
  TemporaryFolder folder;

  void write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  [[nodiscard]] std::string root() const { return folder.path().string(); }

  // A board of two cores whose clock may be raised to `limit_khz`, as cpufreq shows it.
  void write_clock(std::uint32_t limit_khz, std::uint32_t current_khz = 600'000,
                   const std::string& governor = "ondemand") const {
    write("proc/self/status", "Cpus_allowed_list:\t0-1\n");
    write("sys/devices/system/cpu/online", "0-1\n");
    for (const char* core : {"0", "1"}) {
      const std::string cpufreq = std::string("sys/devices/system/cpu/cpu") + core + "/cpufreq/";
      write(cpufreq + "scaling_cur_freq", std::to_string(current_khz) + "\n");
      write(cpufreq + "scaling_max_freq", std::to_string(limit_khz) + "\n");
      write(cpufreq + "scaling_min_freq", "600000\n");
      write(cpufreq + "cpuinfo_max_freq", "1500000\n");
      write(cpufreq + "scaling_governor", governor + "\n");
      write(cpufreq + "scaling_driver", "cpufreq-dt\n");
    }
  }
  void write_throttled(const std::string& flags) const {
    write("sys/devices/platform/soc/soc:firmware/get_throttled", flags + "\n");
  }
};

}  // namespace cleave::test
