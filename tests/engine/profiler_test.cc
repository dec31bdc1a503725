// SPDX-License-Identifier: Apache-2.0
#include "engine/profiler.h"

#include <doctest/doctest.h>

#include "tests/engine/engine_harness.h"

namespace cleave::test {

TEST_CASE("percentiles are the nearest rank of what was measured") {
  Profiler profiler(3, 10);
  for (const std::uint64_t ns : {50, 10, 40, 20, 30}) profiler.op_done(1, ns);
  CHECK(profiler.runs(1) == 5);
  CHECK(profiler.median_ns(1) == 30);
  CHECK(profiler.percentile_ns(1, 95) == 50);
  CHECK(profiler.percentile_ns(1, 100) == 50);
  CHECK(profiler.percentile_ns(1, 40) == 20);
  CHECK(profiler.percentile_ns(1, 41) == 30);
  CHECK(profiler.percentile_ns(1, 1) == 10);
  CHECK(profiler.percentile_ns(1, 0) == 10);
  profiler.op_done(1, 60);
  CHECK(profiler.median_ns(1) == 30);  // rank 3 of 6
}

TEST_CASE("an op that never ran is 0; what is more than the room is dropped") {
  Profiler profiler(2, 2);
  CHECK(profiler.median_ns(0) == 0);
  CHECK(profiler.percentile_ns(9, 50) == 0);
  profiler.op_done(0, 1);
  profiler.op_done(0, 2);
  profiler.op_done(0, 1000);
  profiler.op_done(7, 1);
  CHECK(profiler.runs(0) == 2);
  CHECK(profiler.percentile_ns(0, 100) == 2);
  CHECK(profiler.runs(1) == 0);
}

TEST_CASE("of a range, each run's sum counts, not the sum of each op's percentile") {
  Profiler profiler(3, 3);
  for (const std::uint64_t ns : {10, 20, 90}) profiler.op_done(0, ns);
  for (const std::uint64_t ns : {90, 20, 10}) profiler.op_done(1, ns);
  CHECK(profiler.percentile_ns(OpRange{0, 2}, 50) == 100);  // of 100, 40, 100
  CHECK(profiler.percentile_ns(OpRange{0, 2}, 1) == 40);
  CHECK(profiler.median_ns(0) + profiler.median_ns(1) == 40);
  CHECK(profiler.percentile_ns(OpRange{1, 1}, 50) == 0);
  CHECK(profiler.percentile_ns(OpRange{0, 3}, 50) == 0);  // op 2 never ran
  CHECK(profiler.percentile_ns(OpRange{0, 4}, 50) == 0);
  profiler.op_done(2, 5);
  CHECK(profiler.percentile_ns(OpRange{0, 3}, 50) == 105);  // the one run that all had
}

TEST_CASE("the executor reports each op of its range once a run") {
  ModelBuilder builder({16, 16, 3});
  auto x = builder.conv2d(builder.input(), 8, WindowSpec{.window = 3});
  x = builder.max_pool2d(x, {WindowSpec{.window = 2, .stride = 2}});
  builder.fully_connected(x, 4);
  const auto model = open_model(builder);
  const auto executor = make_executor(model);
  require_ok(executor->prepare({1, 3}, 1));
  std::ranges::fill(executor->inputs()[0].f32(), 0.5F);
  Profiler profiler(op_count(*model), 4);
  for (int run = 0; run < 4; ++run) require_ok(executor->run(&profiler));
  CHECK(profiler.runs(0) == 0);
  CHECK(profiler.runs(1) == 4);
  CHECK(profiler.runs(2) == 4);
  CHECK(profiler.median_ns(1) > 0);
  CHECK(profiler.percentile_ns(2, 95) >= profiler.median_ns(2));
}

}  // namespace cleave::test
