// SPDX-License-Identifier: Apache-2.0
//
// The decision is the same on every machine: this test runs on x86-64 and, under qemu, on aarch64;
// freestanding_test.sh asks the same digest of both and of a Cortex-M4's code, without a C library.
#include <doctest/doctest.h>

#include "tests/planner/digest.h"

namespace cleave::planner {
namespace {

TEST_CASE("10,000 random instances under every policy have the same digest on every machine") {
  CHECK(testing::digest_of_random_plans() == testing::kExpectedDigest);
}

}  // namespace
}  // namespace cleave::planner
