// SPDX-License-Identifier: Apache-2.0
#include "agent/request_ids.h"

#include <doctest/doctest.h>

#include <set>

namespace cleave::test {

TEST_CASE("ids count up, and two starts have none in common") {
  std::set<std::uint64_t> seen;
  for (int start = 0; start < 100; ++start) {
    agent::RequestIds ids;
    const std::uint64_t first = ids.next();
    CHECK(first != 0);
    CHECK(ids.next() == first + 1);
    for (std::uint64_t id = first; id < first + 100; ++id) CHECK(seen.insert(id).second);
  }
}

}  // namespace cleave::test
