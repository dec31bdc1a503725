// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <numeric>

#include "engine/executor.h"
#include "engine/memory/counting_allocator.h"
#include "engine/memory/lifetime.h"
#include "engine/memory/range_plan.h"
#include "tests/engine/counting_new.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {

TEST_CASE("a run allocates nothing: neither by operator new nor inside XNNPACK") {
  const auto model = branching_model();
  const OpIndex ops = op_count(*model);
  for (const unsigned threads : {1U, 2U}) {
    const auto executor = make_executor(model, threads);
    for (OpIndex cut = 0; cut <= ops; cut += 4) {
      CAPTURE(cut);
      require_ok(executor->prepare({cut, ops}, 2));
      const std::uint64_t news = operator_new_calls();
      const std::uint64_t allocations = allocation_counts().allocations;
      for (int run = 0; run < 3; ++run) require_ok(executor->run());
      CHECK(operator_new_calls() == news);
      CHECK(allocation_counts().allocations == allocations);
    }
  }
}

TEST_CASE("binding a buffer allocates nothing") {
  const auto model = branching_model();
  const auto executor = make_executor(model);
  require_ok(executor->prepare({0, op_count(*model)}, 1));
  void* const own = executor->inputs()[0].data;
  const std::uint64_t news = operator_new_calls();
  const std::uint64_t allocations = allocation_counts().allocations;
  require_ok(executor->bind_input(0, own));
  require_ok(executor->bind_output(0, nullptr));
  CHECK(operator_new_calls() == news);
  CHECK(allocation_counts().allocations == allocations);
}

TEST_CASE("the arena planned without weights is the arena that prepare plans, at every cut") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  const auto executor = make_executor(model);
  for (const std::uint32_t batch : {1U, 5U}) {
    for (OpIndex cut = 0; cut <= ops; ++cut) {
      CAPTURE(cut);
      for (const OpRange range : {OpRange{0, cut}, OpRange{cut, ops}}) {
        require_ok(executor->prepare(range, batch));
        const auto planned = plan_arena_bytes(variant, range, batch);
        require_ok(planned.status());
        CHECK(*planned == executor->arena_bytes());
      }
    }
  }
  CHECK(plan_arena_bytes(variant, {0, ops + 1}, 1).status().code() == StatusCode::kOutOfRange);
  CHECK(plan_arena_bytes(variant, {0, ops}, 0).status().code() == StatusCode::kOutOfRange);
}

TEST_CASE("arenas of many cuts at once are those of each range by itself") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  std::vector<OpIndex> boundaries(ops + 1);
  std::iota(boundaries.begin(), boundaries.end(), OpIndex{0});
  for (const std::uint32_t batch : {1U, 5U}) {
    const auto arenas = plan_cut_arenas(variant, boundaries, batch);
    require_ok(arenas.status());
    REQUIRE(arenas->size() == boundaries.size());
    for (const OpIndex cut : boundaries) {
      CAPTURE(cut);
      CHECK((*arenas)[cut].head_bytes == *plan_arena_bytes(variant, {0, cut}, batch));
      CHECK((*arenas)[cut].tail_bytes == *plan_arena_bytes(variant, {cut, ops}, batch));
    }
    CHECK((*arenas)[3].head_bytes != (*arenas)[3].tail_bytes);
  }
  const OpIndex beyond[] = {ops + 1};
  CHECK(plan_cut_arenas(variant, beyond, 1).status().code() == StatusCode::kOutOfRange);
  CHECK(plan_cut_arenas(variant, boundaries, 0).status().code() == StatusCode::kOutOfRange);
}

TEST_CASE("planning holds no memory afterwards") {
  const auto model = branching_model();
  const std::uint64_t before = allocation_counts().live_bytes;
  require_ok(plan_arena_bytes(first_variant(*model), {0, op_count(*model)}, 1).status());
  CHECK(allocation_counts().live_bytes == before);
}

TEST_CASE("a tensor's place in the arena is free again after its last reader") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  const std::vector<std::size_t> workspaces(ops, 0);
  const RangePlan plan = plan_range(variant, {0, ops}, 1, workspaces);
  std::size_t sum = 0;
  for (const BufferRequest& request : plan.requests) sum += request.bytes;
  CHECK(plan.memory.bytes < sum / 2);
  CHECK(plan.memory.bytes >= live_bytes(plan.requests, kBufferAlignment));
}

TEST_CASE("no op's output shares memory with a tensor that lives then") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  const std::vector<Lifetime> lifetimes = find_lifetimes(variant);
  const std::vector<std::size_t> workspaces(ops, 500);
  const RangePlan plan = plan_range(variant, {0, ops}, 1, workspaces);
  const auto bytes = [&](TensorId t) { return f32_bytes(*variant.tensors()->Get(t)->shape()); };
  for (OpIndex op = 0; op < ops; ++op) {
    const TensorId output = variant.ops()->Get(op)->output();
    for (TensorId other = 0; other < lifetimes.size(); ++other) {
      if (other == output || lifetimes[other].defined > op || lifetimes[other].last_read <= op) {
        continue;
      }
      const std::size_t a = plan.tensor_offsets[output];
      const std::size_t b = plan.tensor_offsets[other];
      CHECK((a + bytes(output) <= b || b + bytes(other) <= a));
      const std::size_t workspace = plan.workspace_offsets[op];
      CHECK((workspace + 500 <= b || b + bytes(other) <= workspace));
    }
  }
}

TEST_CASE("preparing again is cheap and does not grow memory") {
  const auto model = branching_model();
  const OpIndex ops = op_count(*model);
  const auto executor = make_executor(model);
  require_ok(executor->prepare({0, ops}, 2));
  const std::uint64_t live = allocation_counts().live_bytes;
  for (OpIndex cut = 0; cut <= ops; ++cut) require_ok(executor->prepare({0, cut}, 1));
  require_ok(executor->prepare({0, ops}, 2));
  CHECK(allocation_counts().live_bytes <= live + live / 20);
}

}  // namespace cleave::test
