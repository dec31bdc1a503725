// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 (FIPS 180-4), by libcrypto: it uses the CPU's own instructions where there are any, and a
// model of 500 MB is hashed when it is fetched. libcrypto is told to load neither a configuration
// file nor an engine, so that a static agent behaves the same on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "schemas/status.h"

namespace cleave {

using Sha256Digest = std::array<std::uint8_t, 32>;

// Lower-case hex, 64 characters.
[[nodiscard]] std::string to_hex(const Sha256Digest& digest);

// Hashes a stream of bytes. Used by one thread at a time; can be moved, not copied.
//
//   Sha256 hash;
//   hash.update(first);
//   hash.update(second);
//   Result<Sha256Digest> digest = hash.finish();
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  // Adds `bytes`; any length, empty included.
  void update(std::span<const std::byte> bytes);
  // The digest of all bytes so far; the object then starts anew.
  // Errors: kInternal when libcrypto refuses.
  [[nodiscard]] Result<Sha256Digest> finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The digest of `bytes`. Errors: as Sha256::finish().
[[nodiscard]] Result<Sha256Digest> sha256(std::span<const std::byte> bytes);

}  // namespace cleave
