// SPDX-License-Identifier: Apache-2.0
#include "server/device_limiter.h"

#include <algorithm>

namespace cleave::server {
namespace {

std::uint32_t milliseconds_up(TokenBucket::Nanoseconds wait) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 1, 60'000));
}

}  // namespace

std::shared_ptr<DeviceAccount> DeviceLimiter::account(std::string_view device, Time now) {
  if (const auto at = accounts_.find(device); at != accounts_.end()) return at->second;
  if (accounts_.size() >= forget_at_) forget_idle(now);
  auto account = std::make_shared<DeviceAccount>(limits_);
  accounts_.emplace(device, account);
  return account;
}

// Names are the peers' to invent: what nobody holds, and would be made anew just the same, goes.
void DeviceLimiter::forget_idle(Time now) {
  std::erase_if(accounts_, [now](const auto& entry) {
    const DeviceAccount& account = *entry.second;
    return entry.second.use_count() == 1 && account.requests.full(now) && account.bytes.full(now);
  });
  forget_at_ = std::max<std::size_t>(64, 2 * accounts_.size());
}

DeviceLimiter::Verdict DeviceLimiter::charge(DeviceAccount& account, std::uint64_t bytes,
                                             Time now) {
  if (const auto wait = account.requests.wait_for(1, now); wait.count() > 0) {
    return {Limit::kRate, milliseconds_up(wait)};
  }
  if (const auto wait = account.bytes.wait_for(bytes, now); wait.count() > 0) {
    return {Limit::kBytes, milliseconds_up(wait)};
  }
  account.requests.take(1, now);
  account.bytes.take(bytes, now);
  return {};
}

}  // namespace cleave::server
