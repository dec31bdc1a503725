// SPDX-License-Identifier: Apache-2.0
#include "server/address_limiter.h"

#include <algorithm>

namespace cleave::server {

AddressKey address_key(const std::array<std::uint8_t, 16>& v6_bytes) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                           0, 0, 0, 0, 0xff, 0xff};
  AddressKey key = v6_bytes;
  if (!std::equal(kMapped.begin(), kMapped.end(), key.begin())) {
    std::fill(key.begin() + 8, key.end(), std::uint8_t{0});
  }
  return key;
}

AddressLimiter::Limit AddressLimiter::admit(const AddressKey& key, Time now, AddressPass& pass) {
  const std::shared_ptr<AddressAccount> known = account(key, now);
  AddressAccount& account = *known;
  if (account.attempts.wait_for(1, now).count() > 0) return Limit::kRate;
  account.attempts.take(1, now);
  if (limits_.max_handshakes != 0 && account.handshakes >= limits_.max_handshakes) {
    return Limit::kHandshakes;
  }
  if (limits_.max_connections != 0 && account.connections >= limits_.max_connections) {
    return Limit::kConnections;
  }
  pass = AddressPass(known);
  return Limit::kNone;
}

std::shared_ptr<AddressAccount> AddressLimiter::account(const AddressKey& key, Time now) {
  if (const auto at = accounts_.find(key); at != accounts_.end()) return at->second;
  if (accounts_.size() >= forget_at_) forget(now);
  auto account = std::make_shared<AddressAccount>(limits_);
  accounts_.emplace(key, account);
  return account;
}

void AddressLimiter::forget(Time now) {
  std::erase_if(accounts_, [now](const auto& entry) {
    return entry.second.use_count() == 1 && entry.second->attempts.full(now);
  });
  if (accounts_.size() >= kMostAddresses) {
    std::erase_if(accounts_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  forget_at_ = std::clamp<std::size_t>(2 * accounts_.size(), 1024,
                                       std::max(kMostAddresses, accounts_.size() + 1024));
}

}  // namespace cleave::server
