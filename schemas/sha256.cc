// SPDX-License-Identifier: Apache-2.0
#include "schemas/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace cleave {
namespace {

// Has to come before any other call into libcrypto, which would read openssl.cnf by itself.
bool start_libcrypto_without_configuration() {
  static const bool started = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1;
  return started;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* evp = nullptr;
  bool usable = false;

  Context() {
    if (!start_libcrypto_without_configuration()) return;
    evp = EVP_MD_CTX_new();
    restart();
  }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void restart() { usable = evp != nullptr && EVP_DigestInit_ex(evp, EVP_sha256(), nullptr) == 1; }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  Context& context = *context_;
  context.usable = context.usable && EVP_DigestUpdate(context.evp, bytes.data(), bytes.size()) == 1;
}

Result<Sha256Digest> Sha256::finish() {
  Context& context = *context_;
  Sha256Digest digest{};
  const bool hashed =
      context.usable && EVP_DigestFinal_ex(context.evp, digest.data(), nullptr) == 1;
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
