// SPDX-License-Identifier: Apache-2.0
//
// What one address may ask of the server before it is known who it is: connections a second,
// handshakes at the same time, and connections altogether. Who is over is closed without a word: a
// flood from one address costs the others an accept() each and no more. Belongs to the network
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "server/token_bucket.h"

namespace cleave::server {

struct AddressLimits {
  // 0: no limit.
  std::uint32_t connections_per_second = 100;  // in the long run; four seconds' worth at once
  std::uint32_t max_handshakes = 128;
  std::uint32_t max_connections = 1000;
};

// An IPv6 network of 64 bits, or an IPv4 address mapped into one of its own: what one subscriber
// has. The rest is 0.
using AddressKey = std::array<std::uint8_t, 16>;

// The one key of an address given as its IPv6 bytes (IPv4 mapped).
AddressKey address_key(const std::array<std::uint8_t, 16>& v6_bytes);

struct AddressAccount {
  explicit AddressAccount(const AddressLimits& limits)
      : attempts(limits.connections_per_second, std::uint64_t{4} * limits.connections_per_second) {}
  TokenBucket attempts;
  std::uint32_t handshakes = 0;
  std::uint32_t connections = 0;
};

// A connection that counts until this ends, and whose handshake counts until it is over. Move-only.
class AddressPass {
 public:
  AddressPass() = default;
  explicit AddressPass(std::shared_ptr<AddressAccount> account) : account_(std::move(account)) {
    ++account_->handshakes;
    ++account_->connections;
  }
  ~AddressPass() { release(); }
  AddressPass(AddressPass&& other) noexcept
      : account_(std::move(other.account_)), shaking_(other.shaking_) {}
  AddressPass& operator=(AddressPass&& other) noexcept {
    if (this == &other) return *this;
    release();
    account_ = std::move(other.account_);
    shaking_ = other.shaking_;
    return *this;
  }

  // Idempotent.
  void handshake_over() {
    if (account_ != nullptr && shaking_) --account_->handshakes;
    shaking_ = false;
  }

 private:
  void release() {
    handshake_over();
    if (account_ != nullptr) --account_->connections;
    account_.reset();
  }
  std::shared_ptr<AddressAccount> account_;
  bool shaking_ = true;
};

class AddressLimiter {
 public:
  using Time = TokenBucket::Time;
  enum class Limit { kNone, kRate, kHandshakes, kConnections };
  // Addresses that are remembered; beyond it, those without a connection are forgotten at once.
  static constexpr std::size_t kMostAddresses = 65536;

  explicit AddressLimiter(const AddressLimits& limits) : limits_(limits) {}

  // Whether `key` may open a connection now; `pass` is then its place.
  Limit admit(const AddressKey& key, Time now, AddressPass& pass);

  [[nodiscard]] std::size_t size() const { return accounts_.size(); }

 private:
  std::shared_ptr<AddressAccount> account(const AddressKey& key, Time now);
  void forget(Time now);

  const AddressLimits limits_;
  std::map<AddressKey, std::shared_ptr<AddressAccount>> accounts_;
  std::size_t forget_at_ = 1024;
};

}  // namespace cleave::server
