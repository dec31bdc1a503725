// SPDX-License-Identifier: Apache-2.0
//
// Tables for a person, from integers alone: the text is the same on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cleave::study {

// The first column is flush left, the others flush right, two blanks apart.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;  // ASCII, every line indented by two blanks

 private:
  std::vector<std::vector<std::string>> rows_;
};

// `value` / `unit`, rounded half up to `decimals` digits after the point.
[[nodiscard]] std::string fixed_text(std::uint64_t value, std::uint64_t unit, int decimals);
[[nodiscard]] std::string milliseconds(std::uint64_t ns);  // "1025.4"
[[nodiscard]] std::string megabytes(std::uint64_t bytes);  // "26.73", MB of 1e6 bytes

// A title, underlined.
[[nodiscard]] std::string heading(const std::string& title);

}  // namespace cleave::study
