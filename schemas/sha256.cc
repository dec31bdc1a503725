// SPDX-License-Identifier: Apache-2.0
#include "schemas/sha256.h"

// The functions that EVP ends up in. Called directly they need none of EVP's start (2.8 MB of
// memory and milliseconds, in a process that hashes some kilobytes), and they read no openssl.cnf.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace cleave {

struct Sha256::Context {
  SHA256_CTX sha{};
  bool usable = false;

  Context() { restart(); }
  void restart() { usable = SHA256_Init(&sha) == 1; }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  Context& context = *context_;
  context.usable = context.usable && SHA256_Update(&context.sha, bytes.data(), bytes.size()) == 1;
}

Result<Sha256Digest> Sha256::finish() {
  Context& context = *context_;
  Sha256Digest digest{};
  const bool hashed = context.usable && SHA256_Final(digest.data(), &context.sha) == 1;
  context.restart();
  if (!hashed) return Status(StatusCode::kInternal, "libcrypto cannot compute SHA-256");
  return digest;
}

Result<Sha256Digest> sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string to_hex(const Sha256Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace cleave
