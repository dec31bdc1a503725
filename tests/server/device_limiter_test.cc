// SPDX-License-Identifier: Apache-2.0
#include "server/device_limiter.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace cleave::test {
namespace {

using server::DeviceLimiter;
using server::DevicePass;
using DeviceLimit = DeviceLimiter::Limit;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr DeviceLimiter::Time kFirstSeen{seconds(1'000)};

TEST_CASE("requests and bytes a second, each device by itself") {
  DeviceLimiter limiter({.requests_per_second = 2, .bytes_per_second = 1'000});
  const auto gate = limiter.account("gate", kFirstSeen);
  const auto yard = limiter.account("yard", kFirstSeen);
  CHECK(limiter.account("gate", kFirstSeen) == gate);
  CHECK(limiter.charge(*gate, 100, kFirstSeen).limit == DeviceLimit::kNone);
  CHECK(limiter.charge(*gate, 100, kFirstSeen).limit == DeviceLimit::kNone);
  const auto rate = limiter.charge(*gate, 100, kFirstSeen);
  CHECK(rate.limit == DeviceLimit::kRate);
  CHECK(rate.retry_after_ms == 500);
  // What was refused was not charged.
  CHECK(limiter.charge(*gate, 100, kFirstSeen + milliseconds(500)).limit == DeviceLimit::kNone);

  CHECK(limiter.charge(*yard, 1'000, kFirstSeen).limit == DeviceLimit::kNone);
  const auto bytes = limiter.charge(*yard, 600, kFirstSeen);
  CHECK(bytes.limit == DeviceLimit::kBytes);
  CHECK(bytes.retry_after_ms == 600);
  CHECK(limiter.charge(*yard, 600, kFirstSeen + milliseconds(600)).limit == DeviceLimit::kNone);
}

TEST_CASE("requests under way count until their pass ends") {
  DeviceLimiter limiter({.max_inflight = 2});
  const auto device = limiter.account("gate", kFirstSeen);
  DevicePass first(device);
  {
    DevicePass second(device);
    CHECK_FALSE(limiter.may_begin(*device));
    DevicePass moved = std::move(second);
    CHECK_FALSE(limiter.may_begin(*device));
  }
  CHECK(limiter.may_begin(*device));
  first = DevicePass(device);
  CHECK(device->inflight == 1);
  first = {};
  CHECK(device->inflight == 0);
}

TEST_CASE("a new connection does not give a device a fresh start") {
  DeviceLimiter limiter({.requests_per_second = 1});
  CHECK(limiter.charge(*limiter.account("gate", kFirstSeen), 1, kFirstSeen).limit ==
        DeviceLimit::kNone);
  CHECK(limiter.charge(*limiter.account("gate", kFirstSeen), 1, kFirstSeen).limit ==
        DeviceLimit::kRate);
}

TEST_CASE("invented names are forgotten, devices with a connection or a debt are not") {
  DeviceLimiter limiter({.requests_per_second = 1});
  const auto connected = limiter.account("connected", kFirstSeen);
  limiter.charge(*connected, 1, kFirstSeen);
  for (int i = 0; i < 10'000; ++i) limiter.account("invented " + std::to_string(i), kFirstSeen);
  CHECK(limiter.size() < 200);
  CHECK(limiter.account("connected", kFirstSeen) == connected);
  // A hundred in debt stay until it is paid.
  for (int i = 0; i < 100; ++i) {
    limiter.charge(*limiter.account("debtor " + std::to_string(i), kFirstSeen), 1, kFirstSeen);
  }
  for (int i = 0; i < 1'000; ++i) limiter.account("other " + std::to_string(i), kFirstSeen);
  CHECK(limiter.charge(*limiter.account("debtor 7", kFirstSeen), 1, kFirstSeen).limit ==
        DeviceLimit::kRate);
}

}  // namespace
}  // namespace cleave::test
