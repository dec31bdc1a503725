// SPDX-License-Identifier: Apache-2.0
//
// Where the optional test data is. Tests that need it skip, and say so, when it is not there.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace cleave::test {

// $CLEAVE_TEST_DATA, else ../shared/data beside the source tree; nothing when absent.
// Tests run with the source tree as working directory.
inline std::optional<std::filesystem::path> shared_data() {
  const char* given = std::getenv("CLEAVE_TEST_DATA");
  std::filesystem::path path = given != nullptr ? given : "../shared/data";
  if (std::filesystem::is_directory(path / "models")) return path;
  std::printf("skipped: no ../shared/data\n");
  return std::nullopt;
}

}  // namespace cleave::test
