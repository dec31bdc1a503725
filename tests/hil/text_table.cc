// SPDX-License-Identifier: Apache-2.0
#include "tests/hil/text_table.h"

#include <algorithm>

namespace cleave::study {

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      line += "  " + (i == 0 ? row[i] + padding : padding + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string fixed_text(std::uint64_t value, std::uint64_t unit, int decimals) {
  std::uint64_t scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  const std::uint64_t whole = value / unit;
  const std::uint64_t part = (value % unit * scale * 2 + unit) / (unit * 2);
  const std::uint64_t rounded = whole * scale + part;
  std::string digits = std::to_string(rounded % scale);
  digits.insert(0, static_cast<std::size_t>(decimals) - digits.size(), '0');
  return std::to_string(rounded / scale) + "." + digits;
}

std::string milliseconds(std::uint64_t ns) { return fixed_text(ns, 1'000'000, 1); }
std::string megabytes(std::uint64_t bytes) { return fixed_text(bytes, 1'000'000, 2); }

std::string heading(const std::string& title) {
  return "\n" + title + "\n" + std::string(title.size(), '-') + "\n";
}

}  // namespace cleave::study
