// SPDX-License-Identifier: Apache-2.0
//
// Files with secrets in them: private keys and tokens. One that others could have read is no secret
// any more, so it is not used; the error says how to put that right and never a byte of the
// content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/status.h"

namespace cleave {

// The content of the regular file at `path`, at most `max_bytes` long, if nobody but its owner
// (root or who runs this process) may write it and nobody outside its group may read it. Errors
// (with the path): kNotFound, kIo, kInvalidArgument (who may read or write it, its owner, no
// regular file, longer).
[[nodiscard]] Result<std::vector<std::byte>> read_secret_file(const std::string& path,
                                                              std::size_t max_bytes);

// Whether the two are the same, in a time that tells nothing but their lengths.
[[nodiscard]] bool equal_in_constant_time(std::span<const std::uint8_t> one,
                                          std::span<const std::uint8_t> other);

// A token is one line of printable ASCII without spaces: long enough that nobody guesses it.
inline constexpr std::size_t kMinTokenBytes = 32;
inline constexpr std::size_t kMaxTokenBytes = 512;
[[nodiscard]] bool is_token(std::string_view text);

// The token in a file of its own, as read_secret_file() with one line. Errors: its, and
// kInvalidArgument when the file holds anything else.
[[nodiscard]] Result<std::string> read_token_file(const std::string& path);

}  // namespace cleave
