// SPDX-License-Identifier: Apache-2.0
//
// A rate limit on a clock of the test's own.
#include "server/token_bucket.h"

#include <doctest/doctest.h>

namespace cleave::test {
namespace {

using server::TokenBucket;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
constexpr TokenBucket::Time kFilled{seconds(1'000)};

// How many single units the bucket gives at `now`.
int drink(TokenBucket& bucket, TokenBucket::Time now, int most = 1'000'000) {
  int count = 0;
  while (count < most && bucket.wait_for(1, now).count() == 0) {
    bucket.take(1, now);
    ++count;
  }
  return count;
}

TEST_CASE("a full bucket gives its burst, then its rate, and never more than the burst") {
  TokenBucket bucket(10, 30);
  CHECK(drink(bucket, kFilled) == 30);
  CHECK(bucket.wait_for(1, kFilled) == milliseconds(100));
  CHECK(drink(bucket, kFilled + milliseconds(99)) == 0);
  CHECK(drink(bucket, kFilled + milliseconds(100)) == 1);
  CHECK(drink(bucket, kFilled + milliseconds(1'100)) == 10);
  CHECK_FALSE(bucket.full(kFilled + seconds(4)));
  CHECK(bucket.full(kFilled + milliseconds(4'100)));
  CHECK(drink(bucket, kFilled + seconds(3'600)) == 30);
}

TEST_CASE("over a long time it is the rate, never more, whatever the steps") {
  TokenBucket eight(8, 1), seven(7, 1);
  int taken_of_eight = 0, taken_of_seven = 0;
  for (int step = 0; step <= 100'000; ++step) {
    taken_of_eight += drink(eight, kFilled + milliseconds(step));
    taken_of_seven += drink(seven, kFilled + milliseconds(step));
  }
  CHECK(taken_of_eight == 1 + 800);
  CHECK(taken_of_seven == 700);  // its nanoseconds are rounded up: the last is not quite due
}

TEST_CASE("more than the burst is given when the bucket is full, and paid back") {
  TokenBucket bucket(1'000, 1'000);
  CHECK(bucket.wait_for(5'000, kFilled).count() == 0);
  bucket.take(5'000, kFilled);
  CHECK(bucket.wait_for(1, kFilled) == milliseconds(4'001));
  CHECK(bucket.wait_for(5'000, kFilled) == seconds(5));
  CHECK(drink(bucket, kFilled + milliseconds(4'500)) == 500);
}

TEST_CASE("rate 0 is no limit; the largest units and rates do not overflow") {
  TokenBucket unlimited(0, 0);
  CHECK(drink(unlimited, kFilled, 1'000) == 1'000);
  CHECK(unlimited.full(kFilled));
  TokenBucket largest(TokenBucket::kMostUnits, TokenBucket::kMostUnits);
  CHECK(largest.wait_for(TokenBucket::kMostUnits, kFilled).count() == 0);
  largest.take(TokenBucket::kMostUnits, kFilled);
  CHECK(largest.wait_for(TokenBucket::kMostUnits, kFilled) == seconds(1));
  TokenBucket slowest(1, 1);
  CHECK(slowest.wait_for(UINT64_MAX, kFilled).count() == 0);
  slowest.take(UINT64_MAX, kFilled);
  CHECK(slowest.wait_for(1, kFilled) == seconds(1'000'000'000));
}

}  // namespace
}  // namespace cleave::test
