// SPDX-License-Identifier: Apache-2.0
#include "server/token_table.h"

#include <span>

#include "schemas/secret_file.h"
#include "schemas/text_check.h"
#include "schemas/wire_reader.h"

namespace cleave::server {
namespace {

constexpr std::size_t kHexDigits = 2 * std::tuple_size_v<Sha256Digest>;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool parse_hash(std::string_view hex, Sha256Digest& hash) {
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const int high = digit_of(hex[2 * i]);
    const int low = digit_of(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    hash[i] = static_cast<std::uint8_t>(16 * high + low);
  }
  return true;
}

// What is wrong with the line; empty: nothing.
std::string parse_line(std::string_view line, std::string& device, Sha256Digest& hash) {
  if (line.size() < kHexDigits + 2 || line[kHexDigits] != ' ') {
    return "not the SHA-256 of a token in hex, a space, and a device's name";
  }
  if (!parse_hash(line.substr(0, kHexDigits), hash)) return "not a SHA-256 in lower-case hex";
  const std::string_view name = line.substr(kHexDigits + 1);
  const Status text = check_text(name, kMaxTextBytes);
  if (!text.is_ok()) return "the device's name is " + text.message();
  device = name;
  return "";
}

}  // namespace

Result<Sha256Digest> token_hash(std::string_view token) {
  return sha256(std::as_bytes(std::span(token.data(), token.size())));
}

Result<TokenTable> TokenTable::parse(std::string_view text) {
  TokenTable table;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    std::string device;
    Sha256Digest hash{};
    const std::string wrong = parse_line(line, device, hash);
    if (!wrong.empty()) {
      return Status(StatusCode::kInvalidArgument, "line " + std::to_string(number) + ": " + wrong);
    }
    table.hashes_.emplace(std::move(device), hash);
  }
  return table;
}

Result<TokenTable> TokenTable::read(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(const auto bytes, read_secret_file(path, kMaxFileBytes));
  auto table = parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!table.is_ok()) return table.status().with_context(path);
  return table;
}

bool TokenTable::admits(std::string_view device, std::string_view token) const {
  const auto hash = token_hash(token);
  return hash.is_ok() && admits(device, *hash);
}

bool TokenTable::admits(std::string_view device, const Sha256Digest& hash) const {
  bool found = false;
  const auto [first, last] = hashes_.equal_range(device);
  for (auto at = first; at != last; ++at) found |= equal_in_constant_time(at->second, hash);
  return found;
}

}  // namespace cleave::server
