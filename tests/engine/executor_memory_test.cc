// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/aligned_buffer.h"
#include "engine/arena_map.h"
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

TEST_CASE("outputs of the caller have no place in the arena, and the run's bytes are the same") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  const auto own = make_executor(model);
  const auto weights = Weights::create(model, 0, {0, ops});
  require_ok(weights.status());
  const auto bound = Executor::create(*weights, {.outputs = OutputPlace::kCaller});
  require_ok(bound.status());
  std::uint64_t saved = 0;
  for (OpIndex cut = 1; cut <= ops; ++cut) {
    CAPTURE(cut);
    require_ok(own->prepare({0, cut}, 1));
    require_ok((*bound)->prepare({0, cut}, 1));
    CHECK((*bound)->arena_bytes() == *plan_arena_bytes(variant, {0, cut}, 1, OutputPlace::kCaller));
    saved += own->arena_bytes() - (*bound)->arena_bytes();
    const Values pixels = random_values(own->inputs()[0].elements, cut);
    std::ranges::copy(pixels, own->inputs()[0].f32().begin());
    require_ok(own->run());
    CHECK((*bound)->outputs()[0].data == nullptr);
    CHECK((*bound)->run().code() == StatusCode::kInternal);
    CHECK((*bound)->bind_output(0, nullptr).code() == StatusCode::kInvalidArgument);
    std::vector<AlignedBuffer> buffers;
    for (std::size_t i = 0; i < (*bound)->outputs().size(); ++i) {
      buffers.emplace_back((*bound)->outputs()[i].elements * sizeof(float));
      require_ok((*bound)->bind_output(i, buffers[i].f32()));
    }
    std::ranges::copy(pixels, (*bound)->inputs()[0].f32().begin());
    require_ok((*bound)->run());
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const BoundaryBuffer& output = own->outputs()[i];
      CHECK(std::memcmp(output.data, buffers[i].f32(), output.elements * sizeof(float)) == 0);
    }
  }
  CHECK(saved > 0);
}

TEST_CASE("the map of an arena is its plan: places do not overlap, and fill it") {
  const auto model = branching_model();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  for (const OpRange range : {OpRange{0, ops}, OpRange{0, ops / 2}, OpRange{ops / 2, ops}}) {
    const auto map = map_arena(variant, range, 1, OutputPlace::kArena);
    require_ok(map.status());
    CHECK(map->bytes == *plan_arena_bytes(variant, range, 1));
    for (OpIndex op = range.first; op < range.last; ++op) {
      CAPTURE(op);
      std::uint64_t end = 0;
      bool has_output = false;
      std::size_t inputs = 0;
      const fbs::Op& node = *variant.ops()->Get(op);
      for (const ArenaPlacement& a : map->placements) {
        if (!a.lives_in(op)) continue;
        end = std::max(end, a.offset + a.bytes);
        has_output = has_output || a.tensor == node.output();
        if (!a.tensor) CHECK(a.first_op == a.last_op);
        for (const TensorId input : *node.inputs()) inputs += a.tensor == input ? 1 : 0;
        for (const ArenaPlacement& b : map->placements) {
          if (&a == &b || !b.lives_in(op)) continue;
          CHECK((a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset));
        }
      }
      CHECK(has_output);
      CHECK(inputs == node.inputs()->size());
      CHECK(is_high_water(*map, op) == ((end + 63) / 64 * 64 == map->bytes));
      CHECK(live_bytes(*map, op) <= map->bytes);
    }
    CHECK(std::ranges::any_of(map->placements, [&](const ArenaPlacement& placement) {
      return is_high_water(*map, placement.first_op);
    }));
  }
  const auto head = map_arena(variant, {0, 1}, 1, OutputPlace::kCaller);
  require_ok(head.status());
  for (const ArenaPlacement& placement : head->placements) {
    CHECK(placement.tensor != variant.ops()->Get(0)->output());
  }
  CHECK(map_arena(variant, {3, 3}, 1, OutputPlace::kArena)->placements.empty());
  CHECK(map_arena(variant, {0, ops + 1}, 1, OutputPlace::kArena).status().code() ==
        StatusCode::kOutOfRange);
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
      CHECK((*arenas)[cut].head_bytes ==
            *plan_arena_bytes(variant, {0, cut}, batch, OutputPlace::kCaller));
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
  const std::vector<OpMemory> workspaces(ops);
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
  const std::vector<OpMemory> workspaces(ops, {.workspace_bytes = 500});
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
