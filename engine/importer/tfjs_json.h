// SPDX-License-Identifier: Apache-2.0
//
// Reading JSON that may say anything: every access checks the type and gives a Status or a fallback
// instead of throwing. Private to the tfjs_*.cc files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/status.h"

namespace cleave::importer {

using Json = nlohmann::json;

// The parsed text. Errors: kCorrupt (not JSON, or nested deeper than 64).
[[nodiscard]] Result<Json> parse_json(std::string_view text);

// A regular file's bytes. Errors: kNotFound, kIo, kResourceExhausted (longer than max_bytes).
[[nodiscard]] Result<std::vector<char>> read_tfjs_file(const std::string& path,
                                                       std::uint64_t max_bytes);

// The member `key`, or nullptr when `object` is no object, has none, or has null there.
[[nodiscard]] const Json* json_member(const Json& object, const char* key);
// nullptr unless the value is a string.
[[nodiscard]] const std::string* json_text(const Json* value);
// Elements of an array; 0 for anything else.
[[nodiscard]] std::size_t json_size(const Json* value);
// Element i. REQUIRES: i < json_size(&array).
[[nodiscard]] const Json& json_at(const Json& array, std::size_t i);
// An integer, also when written as 3.0. Errors: kCorrupt.
[[nodiscard]] Result<std::int64_t> json_integer(const Json& value);
// Errors: kCorrupt unless a finite number.
[[nodiscard]] Result<double> json_number(const Json& value);
// Integers of an array; `null` becomes -1. Errors: kCorrupt.
[[nodiscard]] Result<std::vector<std::int64_t>> json_integers(const Json& array);

// A layer's "config". Absent and null members take the fallback; a member of the wrong type is
// kCorrupt, named in the message.
class TfjsConfig {
 public:
  // `config` may be nullptr (all fallbacks) and must outlive this.
  explicit TfjsConfig(const Json* config) : config_(config) {}

  [[nodiscard]] const Json* member(const char* key) const;
  [[nodiscard]] Result<bool> flag(const char* key, bool fallback) const;
  [[nodiscard]] Result<double> number(const char* key, double fallback) const;
  [[nodiscard]] Result<std::string> text(const char* key, const char* fallback) const;
  // From 1 to 4096.
  [[nodiscard]] Result<std::uint32_t> extent(const char* key, std::uint32_t fallback) const;
  // One number for both directions, or [height, width]; each from 1 to 4096.
  [[nodiscard]] Result<std::array<std::uint32_t, 2>> extents(
      const char* key, std::array<std::uint32_t, 2> fallback) const;

 private:
  const Json* config_;
};

}  // namespace cleave::importer
