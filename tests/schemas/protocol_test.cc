// SPDX-License-Identifier: Apache-2.0
#include "schemas/protocol.h"

#include <doctest/doctest.h>

namespace cleave {
namespace {

TEST_CASE("a Hello without a lowest version offers one") {
  CHECK(offered_versions(3, 0).lowest == 3);
  CHECK(offered_versions(3, 0).highest == 3);
  CHECK(offered_versions(3, 2).lowest == 2);
}

TEST_CASE("the highest version that both speak, by hand") {
  struct Case {
    VersionRange agent, server;
    int expected;  // 0: none
  };
  for (const Case& c : {Case{{2, 2}, {2, 2}, 2}, Case{{1, 1}, {2, 2}, 0}, Case{{3, 3}, {2, 2}, 0},
                        Case{{2, 3}, {2, 2}, 2}, Case{{1, 4}, {2, 3}, 3}, Case{{2, 3}, {1, 4}, 3},
                        Case{{1, 2}, {3, 4}, 0}, Case{{0, 0xffff}, {2, 2}, 2}}) {
    CAPTURE(c.agent.lowest);
    CAPTURE(c.agent.highest);
    CHECK(highest_common_version(c.agent, c.server).value_or(0) == c.expected);
    CHECK(highest_common_version(c.server, c.agent).value_or(0) == c.expected);
  }
}

TEST_CASE("this build speaks version 2 alone") {
  CHECK(kSpokenVersions.lowest == 2);
  CHECK(kSpokenVersions.highest == 2);
}

}  // namespace
}  // namespace cleave
