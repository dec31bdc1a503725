// SPDX-License-Identifier: Apache-2.0
//
// One line of the result log: spool_format.md, "The result log".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cleave::agent {

inline constexpr std::size_t kMaxResultLineBytes = 4 << 20;

// 16 hex digits, as ids are written everywhere: a JSON number would lose its last bits in some
// readers.
[[nodiscard]] std::string request_id_text(std::uint64_t request_id);
// The same; empty: 0, there is none.
[[nodiscard]] inline std::string known_id_text(std::uint64_t request_id) {
  return request_id == 0 ? std::string() : request_id_text(request_id);
}

// The line of a request, its end included. `fields` are the inner part of a JSON object, with
// "state" first and no comma around it.
[[nodiscard]] std::string result_line(std::uint64_t request_id, std::string_view fields);

// The first line of a log.
[[nodiscard]] std::string result_log_start();

struct ResultLine {
  std::uint64_t request_id = 0;
  std::uint32_t crc = 0;
};
// Of a line without its end; nothing when it does not check.
[[nodiscard]] std::optional<ResultLine> read_result_line(std::string_view line);
// Bytes that a line has behind what its crc32 is of, its end included.
inline constexpr std::size_t kResultLineTailBytes = 21;
// The crc32 in the last bytes of a line and its end, which need not be right; nothing when they are
// no end of a line.
[[nodiscard]] std::optional<std::uint32_t> read_result_tail(std::string_view tail);

}  // namespace cleave::agent
