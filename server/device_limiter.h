// SPDX-License-Identifier: Apache-2.0
//
// What one device may ask of the server over all its connections: requests and bytes a second, and
// requests under way. A device is known by its name, which is its certificate's where there is one.
// Belongs to the network thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "server/token_bucket.h"

namespace cleave::server {

struct DeviceLimits {
  // 0: no limit. Bursts are a second's worth.
  std::uint64_t requests_per_second = 0;
  std::uint64_t bytes_per_second = 0;
  std::uint32_t max_inflight = 0;
};

// One device's state; lives as long as a session or a job of the device holds it, and for as long
// as its buckets are not full.
struct DeviceAccount {
  explicit DeviceAccount(const DeviceLimits& limits)
      : requests(limits.requests_per_second, limits.requests_per_second),
        bytes(limits.bytes_per_second, limits.bytes_per_second) {}
  TokenBucket requests;
  TokenBucket bytes;
  std::uint32_t inflight = 0;
};

// One request that counts as under way until this ends. Move-only.
class DevicePass {
 public:
  DevicePass() = default;
  explicit DevicePass(std::shared_ptr<DeviceAccount> account) : account_(std::move(account)) {
    ++account_->inflight;
  }
  ~DevicePass() { release(); }
  DevicePass(DevicePass&&) noexcept = default;
  DevicePass& operator=(DevicePass&& other) noexcept {
    if (this != &other) {
      release();
      account_ = std::move(other.account_);
    }
    return *this;
  }

 private:
  void release() {
    if (account_ != nullptr) --account_->inflight;
    account_.reset();
  }
  std::shared_ptr<DeviceAccount> account_;
};

class DeviceLimiter {
 public:
  using Time = TokenBucket::Time;
  enum class Limit { kNone, kRate, kBytes };
  struct Verdict {
    Limit limit = Limit::kNone;
    std::uint32_t retry_after_ms = 0;
  };

  explicit DeviceLimiter(const DeviceLimits& limits) : limits_(limits) {}

  // The account of `device`, one for all its sessions.
  std::shared_ptr<DeviceAccount> account(std::string_view device, Time now);

  // Charges a request of `bytes`, if the device's rates allow it now.
  static Verdict charge(DeviceAccount& account, std::uint64_t bytes, Time now);
  // Whether one more request may be under way; a DevicePass then counts it.
  [[nodiscard]] bool may_begin(const DeviceAccount& account) const {
    return limits_.max_inflight == 0 || account.inflight < limits_.max_inflight;
  }

  [[nodiscard]] std::size_t size() const { return accounts_.size(); }

 private:
  void forget_idle(Time now);

  const DeviceLimits limits_;
  std::map<std::string, std::shared_ptr<DeviceAccount>, std::less<>> accounts_;
  std::size_t forget_at_ = 64;  // accounts; looked through again when there are so many
};

}  // namespace cleave::server
