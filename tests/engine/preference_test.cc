// SPDX-License-Identifier: Apache-2.0
//
// Preference::kMemory: fewer bytes than with kSpeed, the same answers within f32's tolerance, and
// one account of them in planning, packing and running.
#include "engine/preference.h"

#include <doctest/doctest.h>

#include "engine/head_memory.h"
#include "engine/memory/counting_allocator.h"
#include "tests/engine/engine_harness.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

constexpr WindowSpec kPadded{.window = 3, .pad = 1};

// A large picture with few channels, where Winograd's weights are small beside the tensors; then a
// small one with many, where they are not; then what has no second form.
std::shared_ptr<const ModelFile> model_with_a_choice() {
  ModelBuilder b({96, 96, 16}, 8);
  Tensor x = b.conv2d(b.input(), 16, kPadded);
  x = b.max_pool2d(x, WindowSpec{.window = 4, .stride = 4});
  x = b.conv2d(x, 64, kPadded);
  x = b.conv2d(x, 64, kPadded);
  x = b.conv2d(x, 32, WindowSpec{});
  b.fully_connected(x, 10);
  return open_model(b);
}

std::shared_ptr<const Weights> weights_of(const std::shared_ptr<const ModelFile>& model,
                                          const WeightsOptions& options) {
  auto weights = Weights::create(model, 0, {0, op_count(*model)}, options);
  require_ok(weights.status());
  return *weights;
}

}  // namespace

TEST_CASE("a preference is read as it is written") {
  for (const Preference preference : {Preference::kSpeed, Preference::kMemory}) {
    const auto parsed = parse_preference(preference_name(preference));
    require_ok(parsed.status());
    CHECK(*parsed == preference);
  }
  for (const char* text : {"", "Memory", "speed ", "both"}) {
    CHECK(parse_preference(text).status().code() == StatusCode::kInvalidArgument);
  }
}

TEST_CASE("weights and arenas are planned as they are made, with either preference") {
  const auto model = model_with_a_choice();
  const fbs::Variant& variant = first_variant(*model);
  const OpIndex ops = op_count(*model);
  std::uint64_t packed[2] = {};
  for (const Preference preference : {Preference::kSpeed, Preference::kMemory}) {
    CAPTURE(preference_name(preference));
    const auto weights = weights_of(model, {.preference = preference});
    for (OpIndex op = 0; op < ops; ++op) {
      CAPTURE(op);
      const auto planned = static_cast<double>(weight_ram_bytes(variant, op, preference));
      CHECK(static_cast<double>(weights->packed_bytes({op, op + 1})) ==
            doctest::Approx(planned).epsilon(0.05));
    }
    packed[preference == Preference::kMemory] = weights->packed_bytes({0, ops});
    const auto executor = make_executor(weights);
    for (const OpRange range : {OpRange{0, ops}, OpRange{0, 3}, OpRange{2, ops}}) {
      require_ok(executor->prepare(range, 1));
      const auto planned = plan_arena_bytes(variant, range, 1, OutputPlace::kArena, preference);
      require_ok(planned.status());
      CHECK(executor->arena_bytes() == *planned);
    }
  }
  // The two convolutions of 64 channels: 36 values became 9.
  CHECK(packed[1] < packed[0] - (16 * 64 + 64 * 64) * 26 * sizeof(float));
  // The first stays: its weights are small beside its tensors.
  CHECK(weight_ram_bytes(variant, 0, Preference::kMemory) == weight_ram_bytes(variant, 0));
}

TEST_CASE("heads of a run that prefers memory take less; no head takes more") {
  const auto model = model_with_a_choice();
  const OpIndex boundaries[] = {0, 1, 2, 3, 4, 5, 6};
  const auto speed = plan_head_memory(model->header(), 0, boundaries, Preference::kSpeed);
  const auto memory = plan_head_memory(model->header(), 0, boundaries, Preference::kMemory);
  require_ok(speed.status());
  require_ok(memory.status());
  for (std::size_t i = 0; i < std::size(boundaries); ++i) {
    CAPTURE(i);
    CHECK((*memory)[i].total() <= (*speed)[i].total());
  }
  CHECK((*memory)[6].total() < (*speed)[6].total() - 300'000);
}

TEST_CASE("both preferences give the same answers, within f32's tolerance") {
  const auto model = model_with_a_choice();
  const OpIndex ops = op_count(*model);
  const Values pixels = random_values(2 * 96 * 96 * 16, 17);
  const auto run = [&](Preference preference) {
    return run_range(*make_executor(weights_of(model, {.preference = preference})), {0, ops}, 2,
                     {{0, pixels}});
  };
  const Values fast = run(Preference::kSpeed).begin()->second;
  const Values small = run(Preference::kMemory).begin()->second;
  CHECK(largest_error(small, fast) < 1e-4);
  CHECK_FALSE(same_bytes(small, fast));  // else nothing was chosen
}

TEST_CASE("the weight cache never gives one preference what the other packed") {
  const TemporaryFolder home;
  const auto model = model_with_a_choice();
  const auto stats_of = [&](Preference preference) {
    auto folder = WeightCacheFolder::open({.path = home / "cache"});
    require_ok(folder.status());
    const auto weights = weights_of(model, {.cache = *folder, .preference = preference});
    const auto without = weights_of(model, {.preference = preference});
    const Values pixels = random_values(96 * 96 * 16, 18);
    const OpRange all{0, op_count(*model)};
    CHECK(same_bytes(run_range(*make_executor(weights), all, 1, {{0, pixels}}),
                     run_range(*make_executor(without), all, 1, {{0, pixels}})));
    return (*folder)->stats();
  };
  const WeightCacheStats fast = stats_of(Preference::kSpeed);
  CHECK(fast.mapped == 0);
  CHECK(fast.stored == 4);
  // What both pack alike (the first and the 1x1 convolution) is shared.
  const WeightCacheStats small = stats_of(Preference::kMemory);
  CHECK(small.mapped == 2);
  CHECK(small.stored == 2);
  for (const Preference preference : {Preference::kSpeed, Preference::kMemory}) {
    const WeightCacheStats again = stats_of(preference);
    CHECK(again.mapped == 4);
    CHECK(again.stored == 0);
  }
}

}  // namespace cleave::test
