// SPDX-License-Identifier: Apache-2.0
#include "agent/system_files.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <tuple>

namespace cleave::agent {
namespace {

constexpr std::size_t kMaxEntries = 64;
constexpr std::size_t kMaxWord = 64;
constexpr unsigned kMaxCpus = 4096;

template <typename Number>
std::optional<Number> number_at_start(std::string_view text, int base = 10) {
  Number value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

// Only what the kernel writes there is looked at: one short line.
std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word(256, '\0');
  file.read(word.data(), static_cast<std::streamsize>(word.size()));
  word.resize(static_cast<std::size_t>(file.gcount()));
  const std::size_t begin = word.find_first_not_of(" \t");
  if (begin == std::string::npos) return {};
  return word.substr(begin, word.find_first_of(" \t\n", begin) - begin);
}

}  // namespace

std::optional<std::uint64_t> read_number(const std::string& path) {
  return number_at_start<std::uint64_t>(first_word(path));
}

std::optional<std::int64_t> read_signed(const std::string& path) {
  return number_at_start<std::int64_t>(first_word(path));
}

std::optional<std::uint64_t> read_hex(const std::string& path) {
  const std::string word = first_word(path);
  const bool prefixed = word.starts_with("0x") || word.starts_with("0X");
  return number_at_start<std::uint64_t>(std::string_view(word).substr(prefixed ? 2 : 0), 16);
}

std::string read_word(const std::string& path) {
  const std::string word = first_word(path);
  const bool sound = word.size() <= kMaxWord && std::ranges::all_of(word, [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
                     });
  return sound ? word : std::string();
}

std::string read_line(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t", key.size());
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

std::optional<std::uint64_t> read_field(const std::string& path, const std::string& key) {
  return number_at_start<std::uint64_t>(read_line(path, key));
}

std::optional<std::uint64_t> read_kib_field(const std::string& path, const std::string& key) {
  const auto kib = read_field(path, key);
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

std::vector<std::filesystem::path> entries_of(const std::string& folder,
                                              const std::string& prefix) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with(prefix)) found.push_back(entry->path());
  }
  const auto rank = [&](const std::filesystem::path& path) {
    const std::string name = path.filename().string();
    const auto number =
        number_at_start<std::uint64_t>(std::string_view(name).substr(prefix.size()));
    return std::tuple(number.value_or(UINT64_MAX), name);
  };
  std::ranges::sort(found, {}, rank);
  if (found.size() > kMaxEntries) found.resize(kMaxEntries);
  return found;
}

std::vector<unsigned> parse_cpu_list(const std::string& text) {
  std::vector<unsigned> cpus;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto first = number_at_start<unsigned>(part);
    if (!first) break;
    const std::size_t dash = part.find('-');
    const auto last = dash == std::string::npos
                          ? first
                          : number_at_start<unsigned>(std::string_view(part).substr(dash + 1));
    if (!last) break;
    for (unsigned cpu = *first; cpu <= *last && cpu < kMaxCpus; ++cpu) cpus.push_back(cpu);
  }
  std::ranges::sort(cpus);
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

}  // namespace cleave::agent
