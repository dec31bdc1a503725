// SPDX-License-Identifier: Apache-2.0
//
// Ops that compute in place: where the arena is fullest a convolution writes its output over what
// it read. Fewer bytes, the same bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/aligned_buffer.h"
#include "engine/arena_map.h"
#include "engine/kernels/dispatch.h"
#include "engine/memory/range_plan.h"
#include "engine/memory/weight_cache.h"
#include "engine/ops/op_registry.h"
#include "engine/ops/thread_pool.h"
#include "engine/ops/workspace_plan.h"
#include "engine/ops/xnnpack_runtime.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

constexpr WindowSpec kPadded{.window = 3, .pad = 1};

// Winograd convolutions in a row, with many tiles (so that there are several blocks of them).
// Channels grow, stay and shrink; no side is a multiple of a tile's, one convolution has no
// padding.
std::shared_ptr<const ModelFile> chain() {
  ModelBuilder b({61, 70, 16}, 5);
  Tensor x = b.conv2d(b.input(), 24, kPadded);
  b.clamp_last(0);
  x = b.conv2d(x, 64, kPadded);
  x = b.conv2d(x, 64, kPadded);
  x = b.conv2d(x, 17, WindowSpec{.window = 3});
  b.conv2d(x, 16, kPadded);
  return open_model(b);
}

// Every op by itself between buffers of the test's own: nothing is shared.
Values run_apart(const std::shared_ptr<const ModelFile>& model, std::uint32_t batch,
                 const Values& pixels) {
  const auto executor = make_executor(model);
  AlignedBuffer from(pixels.size() * sizeof(float));
  std::ranges::copy(pixels, from.f32());
  std::size_t bytes = 0;
  for (OpIndex op = 0; op < op_count(*model); ++op) {
    require_ok(executor->prepare({op, op + 1}, batch));
    bytes = executor->outputs()[0].bytes();
    AlignedBuffer to(bytes);
    require_ok(executor->bind_input(0, from.data()));
    require_ok(executor->bind_output(0, to.data()));
    require_ok(executor->run());
    from = std::move(to);
  }
  return {from.f32(), from.f32() + bytes / sizeof(float)};
}

bool overlap(const ArenaPlacement& a, const ArenaPlacement& b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

// What the arena would take with every tensor apart.
std::uint64_t bytes_apart(const ModelFile& model, std::uint32_t batch) {
  const OpRange all{0, op_count(model)};
  auto memory = ops::plan_workspaces(first_variant(model), all, batch, Preference::kSpeed);
  require_ok(memory.status());
  for (OpMemory& op : *memory) op.output_lead_bytes = OpMemory::kApart;
  return plan_range(first_variant(model), all, batch, *memory).memory.bytes;
}

struct InPlaceCase {
  fbs::Shape input;
  std::uint32_t outputs;
  WindowSpec window;
};

// A model of one convolution, between conversions where it is on int8; and its index.
std::pair<std::shared_ptr<const ModelFile>, OpIndex> one_convolution(const InPlaceCase& c,
                                                                     bool on_int8) {
  ModelBuilder b(c.input, 5);
  if (!on_int8) {
    b.conv2d(b.input(), c.outputs, c.window);
    return {open_model(b), 0};
  }
  const Tensor x = b.conv2d(b.to_int8(b.input(), 4.0F / 255, -3), c.outputs, c.window);
  b.int8_last(0.05F, 12);
  b.to_f32(x);
  return {open_model(b), 1};
}

// The output as close before the input as the op allows, or apart from it.
std::vector<std::byte> run_op(const ModelFile& model, OpIndex index, std::uint32_t batch,
                              unsigned threads, bool in_place) {
  auto pool = ops::ThreadPool::create(threads);
  require_ok(pool.status());
  PackedWeights entry;
  ops::OpSpec spec = ops::make_op_spec(first_variant(model), index, Preference::kSpeed);
  spec.kernel = model.weight_bytes(*spec.op, *spec.op->kernel()).data();
  spec.bias = model.weight_bytes(*spec.op, *spec.op->bias()).data();
  spec.entry = &entry;
  spec.packed = entry.provider();
  auto created = ops::create_op(spec);
  require_ok(created.status());
  ops::Op& op = **created;
  const auto workspace_bytes = op.reshape(batch, pool->handle());
  require_ok(workspace_bytes.status());
  AlignedBuffer workspace(*workspace_bytes);
  const std::size_t element = dtype_bytes(spec.output_type.dtype);
  const std::size_t inputs = batch * element_count(spec.inputs[0]) * element;
  const std::size_t outputs = batch * element_count(spec.output) * element;
  const std::size_t allowed = op.output_lead_bytes();
  REQUIRE(allowed != OpMemory::kApart);
  const std::size_t lead = in_place ? (allowed + 63) / 64 * 64 : (outputs + 191) / 64 * 64;
  AlignedBuffer memory(lead + std::max(inputs, outputs));
  std::byte* const input = memory.data() + lead;
  const Values values = random_values(inputs / element, 31);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto step = static_cast<std::int8_t>(values[i] * 60);
    if (element == 1) {
      input[i] = static_cast<std::byte>(step);
    } else {
      std::memcpy(input + i * element, &values[i], element);
    }
  }
  const void* const pixels = input;
  require_ok(op.setup({{&pixels, 1}, memory.data(), workspace.data()}));
  require_ok(op.run(pool->handle()));
  return {memory.data(), memory.data() + outputs};
}

}  // namespace

TEST_CASE("convolutions in place give the bits of convolutions apart, in less memory") {
  const auto model = chain();
  const OpIndex ops = op_count(*model);
  const fbs::Shape& shape = *first_variant(*model).tensors()->Get(0)->shape();
  for (const std::uint32_t batch : {1U, 2U, 3U}) {
    CAPTURE(batch);
    const Values pixels = random_values(batch * element_count(shape), 31);
    const Values apart = run_apart(model, batch, pixels);
    for (const unsigned threads : {1U, 2U, 4U}) {
      CAPTURE(threads);
      const auto executor = make_executor(model, threads);
      require_ok(executor->prepare({0, ops}, batch));
      CHECK(executor->arena_bytes() < bytes_apart(*model, batch) * 9 / 10);
      for (int run = 0; run < 2; ++run) {
        std::ranges::copy(pixels, executor->inputs()[0].f32().begin());
        require_ok(executor->run());
        const auto scores = executor->outputs()[0].f32();
        CHECK(same_bytes({scores.begin(), scores.end()}, apart));
      }
    }
  }
}

// Wide pictures have several blocks of tiles in a band, narrow ones several bands in a block. With
// padding of two rows the first two bands begin in the same row.
TEST_CASE("an output may begin as close before the input as the op says") {
  require_ok(ops::initialize_xnnpack());
  const WindowSpec three{.window = 3, .pad = 1}, five{.window = 5, .pad = 2};
  const std::vector<InPlaceCase> cases = {
      {{6, 300, 48}, 16, five},  {{6, 300, 16}, 48, five},         {{10, 22, 16}, 16, five},
      {{10, 22, 16}, 64, five},  {{9, 500, 32}, 16, three},        {{9, 500, 16}, 33, three},
      {{37, 41, 32}, 17, three}, {{9, 300, 17}, 16, {.window = 5}}};
  for (const InPlaceCase& c : cases) {
    for (const bool on_int8 : {false, true}) {
      if (on_int8 && kernels::active_kernels().s16_gemm == nullptr) continue;
      const auto [model, index] = one_convolution(c, on_int8);
      CAPTURE(c.input.width());
      CAPTURE(c.outputs);
      CAPTURE(on_int8);
      for (const std::uint32_t batch : {1U, 3U}) {
        CAPTURE(batch);
        const auto apart = run_op(*model, index, batch, 1, false);
        CHECK(run_op(*model, index, batch, 1, true) == apart);
        CHECK(run_op(*model, index, batch, 3, true) == apart);
        CHECK(run_op(*model, index, batch, 3, false) == apart);
      }
    }
  }
}

TEST_CASE("only an op's last input and its output share memory, and only while that op runs") {
  const auto model = chain();
  const fbs::Variant& variant = first_variant(*model);
  const auto map = map_arena(variant, {0, op_count(*model)}, 1, OutputPlace::kArena);
  require_ok(map.status());
  std::size_t shared = 0;
  for (OpIndex op = 0; op < op_count(*model); ++op) {
    CAPTURE(op);
    const fbs::Op& node = *variant.ops()->Get(op);
    std::uint64_t sum = 0;
    bool in_place = false;
    for (const ArenaPlacement& a : map->placements) {
      if (!a.lives_in(op)) continue;
      sum += a.bytes;
      for (const ArenaPlacement& b : map->placements) {
        if (&a == &b || !b.lives_in(op) || !overlap(a, b)) continue;
        REQUIRE(a.tensor);
        REQUIRE(b.tensor);
        const bool input_and_output =
            (*a.tensor == node.output() && *b.tensor == node.inputs()->Get(0)) ||
            (*b.tensor == node.output() && *a.tensor == node.inputs()->Get(0));
        CHECK(input_and_output);
        in_place = true;
      }
    }
    CHECK(live_bytes(*map, op) <= map->bytes);
    CHECK((live_bytes(*map, op) < sum) == in_place);
    shared += in_place ? 1 : 0;
  }
  CHECK(shared > 0);
}

TEST_CASE("an input that is read again later is not written over") {
  ModelBuilder b({61, 70, 16}, 6);
  const Tensor x = b.conv2d(b.input(), 32, kPadded);
  const Tensor y = b.conv2d(x, 32, kPadded);
  b.add(x, y);
  const auto model = open_model(b);
  const fbs::Variant& variant = first_variant(*model);
  const auto map = map_arena(variant, {0, 3}, 1, OutputPlace::kArena);
  require_ok(map.status());
  for (const ArenaPlacement& a : map->placements) {
    for (const ArenaPlacement& other : map->placements) {
      if (&a != &other && a.lives_in(1) && other.lives_in(1)) CHECK_FALSE(overlap(a, other));
    }
  }
}

TEST_CASE("a plan takes what is offered where it saves, and nothing else") {
  // Ops of one pixel a step, so that sizes are what the case says.
  ModelBuilder b({1, 1, 64}, 7);
  Tensor x = b.fully_connected(b.input(), 640);
  x = b.fully_connected(x, 640);
  b.fully_connected(x, 16);
  const auto model = open_model(b);
  const fbs::Variant& variant = first_variant(*model);
  const std::vector<OpMemory> apart(3);
  const std::size_t without = plan_range(variant, {0, 3}, 1, apart).memory.bytes;
  std::vector<OpMemory> offered(3);
  offered[1].output_lead_bytes = 100;
  const RangePlan plan = plan_range(variant, {0, 3}, 1, offered);
  CHECK(plan.memory.bytes < without);
  CHECK(plan.tensor_offsets[2] + 128 == plan.tensor_offsets[1]);  // 100, aligned
  // A lead that leaves nothing to share is no gain.
  offered[1].output_lead_bytes = 1 << 20;
  CHECK(plan_range(variant, {0, 3}, 1, offered).memory.bytes == without);
  // Where there is room anyway, tensors stay apart.
  std::vector<OpMemory> last(3);
  last[2].output_lead_bytes = 0;
  CHECK(plan_range(variant, {0, 3}, 1, last).memory.bytes == without);
  // A caller's output has no place to share.
  std::vector<OpMemory> sent(3);
  sent[2].output_lead_bytes = 0;
  const RangePlan head = plan_range(variant, {0, 3}, 1, sent, OutputPlace::kCaller);
  CHECK(head.tensor_offsets[3] == RangePlan::kNowhere);
}

}  // namespace cleave::test
