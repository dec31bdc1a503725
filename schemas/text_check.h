// SPDX-License-Identifier: Apache-2.0
//
// Texts that come from files and peers end up on terminals, in logs and in JSON: they must be UTF-8
// without control characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/status.h"

namespace cleave {

enum class TextLines : std::uint8_t { kOne, kMany };  // kMany also allows line feed and tab

// Errors: kCorrupt ("not UTF-8", "control character", "longer than ... bytes").
[[nodiscard]] Status check_text(std::string_view text, std::size_t max_bytes,
                                TextLines lines = TextLines::kOne);

// `text` with every byte that check_text() refuses replaced by '?', cut to `max_bytes` without
// splitting a character.
[[nodiscard]] std::string clean_text(std::string_view text, std::size_t max_bytes);

}  // namespace cleave
