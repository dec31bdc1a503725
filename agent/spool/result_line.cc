// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/result_line.h"

#include <charconv>
#include <cstdio>
#include <span>

#include "agent/spool/crc32.h"

namespace cleave::agent {
namespace {

constexpr std::string_view kBegin = R"({"request":")";
constexpr std::string_view kBehindId = R"(","state":")";
constexpr std::string_view kBeforeCrc = R"(,"crc32":")";
constexpr std::string_view kEnd = R"("})";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kCrcDigits = 8;
constexpr std::size_t kTailBytes = kBeforeCrc.size() + kCrcDigits + kEnd.size();

std::uint32_t crc_of(std::string_view text) {
  return crc32_of(std::as_bytes(std::span(text.data(), text.size())));
}

template <typename Number>
std::optional<Number> read_hex(std::string_view digits) {
  Number number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return {};
  if (digits.find_first_of("ABCDEF") != std::string_view::npos) return {};
  return number;
}

// REQUIRES: tail.size() == kTailBytes.
std::optional<std::uint32_t> read_crc(std::string_view tail) {
  if (!tail.starts_with(kBeforeCrc) || !tail.ends_with(kEnd)) return {};
  return read_hex<std::uint32_t>(tail.substr(kBeforeCrc.size(), kCrcDigits));
}

}  // namespace

std::string request_id_text(std::uint64_t request_id) {
  char text[kIdDigits + 1];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(request_id));
  return text;
}

std::string result_line(std::uint64_t request_id, std::string_view fields) {
  std::string line(kBegin);
  line += request_id_text(request_id);
  line += "\",";
  line += fields;
  char crc[kCrcDigits + 1];
  std::snprintf(crc, sizeof(crc), "%08x", static_cast<unsigned>(crc_of(line)));
  line += kBeforeCrc;
  line += crc;
  line += kEnd;
  line += '\n';
  return line;
}

std::string result_log_start() { return result_line(0, R"("state":"log","version":1)"); }

std::optional<ResultLine> read_result_line(std::string_view line) {
  constexpr std::size_t kIdEnd = kBegin.size() + kIdDigits;
  if (line.size() < kIdEnd + kBehindId.size() + kTailBytes || line.size() > kMaxResultLineBytes) {
    return {};
  }
  if (!line.starts_with(kBegin)) return {};
  if (line.substr(kIdEnd, kBehindId.size()) != kBehindId) return {};
  const std::string_view covered = line.substr(0, line.size() - kTailBytes);
  const auto crc = read_crc(line.substr(covered.size()));
  if (!crc || *crc != crc_of(covered)) return {};
  const auto id = read_hex<std::uint64_t>(line.substr(kBegin.size(), kIdDigits));
  if (!id) return {};
  return ResultLine{*id, *crc};
}

std::optional<std::uint32_t> read_result_tail(std::string_view tail) {
  static_assert(kResultLineTailBytes == kTailBytes + 1);
  if (tail.size() != kResultLineTailBytes || tail.back() != '\n') return {};
  return read_crc(tail.substr(0, kTailBytes));
}

}  // namespace cleave::agent
