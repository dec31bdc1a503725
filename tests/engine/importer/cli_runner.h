// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "schemas/exit_code.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {

inline std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Runs cleave-import ($CLEAVE_IMPORT) with `arguments` as a shell reads them, in `folder`.
inline Finished run_import(const TemporaryFolder& folder, const std::string& arguments) {
  const char* program = std::getenv("CLEAVE_IMPORT");
  REQUIRE_MESSAGE(program != nullptr, "CLEAVE_IMPORT is not set");
  return run_program(
      {"/bin/sh", "-c",
       "cd '" + folder.path().string() + "' && exec '" + program + "' " + arguments});
}

inline int code(ExitCode code) { return static_cast<int>(code); }

inline bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

// Arguments that cannot be followed, and what the user learns of it.
struct BadCase {
  const char* arguments;
  ExitCode exit_code;
  const char* says;
};

// Exit code and one line on standard error are as `expected`; `output` is not written.
inline void check_bad_case(const TemporaryFolder& folder, const BadCase& expected,
                           const std::string& output) {
  CAPTURE(expected.arguments);
  const Finished outcome = run_import(folder, expected.arguments);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == code(expected.exit_code));
  CHECK(outcome.out.empty());
  CHECK(is_one_line(outcome.err));
  CHECK(outcome.err.starts_with("cleave-import: error: "));
  CHECK(outcome.err.find(expected.says) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / output));
}

}  // namespace cleave::test
