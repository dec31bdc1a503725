// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process_figures.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

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

std::vector<std::string> what_grew(const std::string& who, const ProcessFigures& before,
                                   const ProcessFigures& after, std::uint64_t rss_room_bytes) {
  std::vector<std::string> grown;
  const auto add = [&](const char* what, std::uint64_t had, std::uint64_t has) {
    grown.push_back(who + " had " + std::to_string(had) + " " + what + " and now has " +
                    std::to_string(has));
  };
  if (after.descriptors > before.descriptors) {
    add("descriptors", before.descriptors, after.descriptors);
  }
  if (after.threads > before.threads) add("threads", before.threads, after.threads);
  const bool is_larger = after.rss_bytes > before.rss_bytes;
  if (is_larger && after.rss_bytes - before.rss_bytes > rss_room_bytes) {
    add("bytes", before.rss_bytes, after.rss_bytes);
  }
  return grown;
}

ProcessFigures await_figures(pid_t pid, const ProcessFigures& before, std::uint64_t rss_room_bytes,
                             std::chrono::seconds limit) {
  const auto latest = std::chrono::steady_clock::now() + limit;
  ProcessFigures after = process_figures(pid);
  while (!what_grew("", before, after, rss_room_bytes).empty() &&
         std::chrono::steady_clock::now() < latest) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    after = process_figures(pid);
  }
  return after;
}

}  // namespace cleave::test
