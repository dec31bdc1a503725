// SPDX-License-Identifier: Apache-2.0
//
// Small files under /proc and /sys: a number, a word, or one line of many. What is missing, or is
// not of that form, is nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace cleave::agent {

// The number that `path` begins with. Nothing also for the kernel's "max" and "unlimited".
[[nodiscard]] std::optional<std::uint64_t> read_number(const std::string& path);
// The same of a number that may be negative: temperatures.
[[nodiscard]] std::optional<std::int64_t> read_signed(const std::string& path);
// The same in base 16, with or without 0x.
[[nodiscard]] std::optional<std::uint64_t> read_hex(const std::string& path);
// The first word, of letters, digits and -_.: only, and at most 64 of them; else empty.
[[nodiscard]] std::string read_word(const std::string& path);
// The rest of the first line that begins with `key`, without leading blanks; empty: there is none.
[[nodiscard]] std::string read_line(const std::string& path, const std::string& key);
// The number at the start of that rest.
[[nodiscard]] std::optional<std::uint64_t> read_field(const std::string& path,
                                                      const std::string& key);
// The same of "Key:   number kB" lines, in bytes.
[[nodiscard]] std::optional<std::uint64_t> read_kib_field(const std::string& path,
                                                          const std::string& key);
// Entries of `folder` whose name begins with `prefix`, sorted by the number that may follow it,
// then by name; at most 64.
[[nodiscard]] std::vector<std::filesystem::path> entries_of(const std::string& folder,
                                                            const std::string& prefix);
// The numbers of a list like "0-3,8", ascending; those below 4096 only.
[[nodiscard]] std::vector<unsigned> parse_cpu_list(const std::string& text);

}  // namespace cleave::agent
