// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process_figures.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace cleave::test {

ProcessFigures process_figures(pid_t pid) {
  ProcessFigures figures;
  const std::string process = "/proc/" + std::to_string(pid);
  std::ifstream status(process + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    words >> name >> value;
    if (name == "VmRSS:") figures.rss_bytes = value * 1024;
    if (name == "Threads:") figures.threads = value;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry(process + "/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++figures.descriptors;
  }
  return figures;
}

}  // namespace cleave::test
