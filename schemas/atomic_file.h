// SPDX-License-Identifier: Apache-2.0
//
// Small files that are read whole, and written whole or not at all.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave {

// The content of the regular file at `path`, at most `max_bytes` long.
// Errors (with the path): kNotFound, kIo, kOutOfRange (longer), kCorrupt (not a regular file).
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::string& path,
                                                       std::size_t max_bytes);

// Replaces `path` by `bytes`: a temporary file beside it, fsync, rename, fsync of the folder. A
// reader, or a machine that lost power, finds the old content or the new. The file has mode 0666
// less the umask. Errors (with the path): kIo; the old content then stands. Thread-safe; of two
// writers of one path the last to rename wins.
[[nodiscard]] Status write_file_atomically(const std::string& path,
                                           std::span<const std::byte> bytes);

}  // namespace cleave
