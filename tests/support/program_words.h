// SPDX-License-Identifier: Apache-2.0
//
// What tests of the programs say often.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "schemas/exit_code.h"

namespace cleave::test {

// Empty when there is no such file.
inline std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

// Command lines put together.
inline std::vector<std::string> operator+(std::vector<std::string> one,
                                          const std::vector<std::string>& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

}  // namespace cleave::test
