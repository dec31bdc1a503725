// SPDX-License-Identifier: Apache-2.0
//
// Which tokens open the server to which devices: a text file with a line for each,
//
//   HASH NAME
//
// HASH being the SHA-256 of the token in hex, NAME the device's to the end of the line. Lines that
// are empty or start with # mean nothing. A device may have several lines, so that its token can be
// replaced without a gap. Tokens themselves are not in the file, nor in the server's memory longer
// than a Hello: they are random, so a hash without salt gives none of them away.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave::server {

class TokenTable {
 public:
  static constexpr std::size_t kMaxFileBytes = 64u << 20;

  // Errors: kInvalidArgument with the number of the line, never its content.
  static Result<TokenTable> parse(std::string_view text);
  // Also: as read_secret_file().
  static Result<TokenTable> read(const std::string& path);

  // Whether `token` is one of `device`'s. How long it takes says nothing about the tokens.
  [[nodiscard]] bool admits(std::string_view device, std::string_view token) const;
  // The same of a token's hash: whether what was admitted would be again.
  [[nodiscard]] bool admits(std::string_view device, const Sha256Digest& hash) const;

  [[nodiscard]] std::size_t size() const { return hashes_.size(); }

 private:
  std::multimap<std::string, Sha256Digest, std::less<>> hashes_;
};

// As the file has them. Errors: kInternal when libcrypto refuses.
[[nodiscard]] Result<Sha256Digest> token_hash(std::string_view token);

}  // namespace cleave::server
