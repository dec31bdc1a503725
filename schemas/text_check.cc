// SPDX-License-Identifier: Apache-2.0
#include "schemas/text_check.h"

namespace cleave {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7: no
// overlong forms, no surrogates, nothing over U+10FFFF), or 0. REQUIRES: text not empty.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

// C0, DEL and C1 controls; a terminal may obey any of them.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace

Status check_text(std::string_view text, std::size_t max_bytes, TextLines lines) {
  if (text.size() > max_bytes) {
    return {StatusCode::kCorrupt, "text longer than " + std::to_string(max_bytes) + " bytes"};
  }
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return {StatusCode::kCorrupt, "text is not UTF-8"};
    const bool layout = lines == TextLines::kMany && (text[0] == '\n' || text[0] == '\t');
    if (!layout && is_control(text.substr(0, length))) {
      return {StatusCode::kCorrupt, "text has a control character"};
    }
    text.remove_prefix(length);
  }
  return Status::ok();
}

std::string clean_text(std::string_view text, std::size_t max_bytes) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const bool good = length > 0 && !is_control(text.substr(0, length));
    const std::string_view character = good ? text.substr(0, length) : "?";
    if (clean.size() + character.size() > max_bytes) break;
    clean += character;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace cleave
