// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "engine/memory/counting_allocator.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

std::shared_ptr<const Weights> pack(const std::shared_ptr<const ModelFile>& model, OpRange range) {
  auto weights = Weights::create(model, 0, range);
  require_ok(weights.status());
  return *weights;
}

std::shared_ptr<const ModelFile> large_model() {
  ModelBuilder builder({16, 16, 64});
  const Tensor x = builder.conv2d(builder.input(), 128, WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(x, 64);
  return open_model(builder);
}

}  // namespace

TEST_CASE("packed bytes are counted per op and cover the weights") {
  const auto model = large_model();
  const auto weights = pack(model, {0, 2});
  const std::uint64_t conv = weights->packed_bytes({0, 1});
  const std::uint64_t linear = weights->packed_bytes({1, 2});
  // Winograd keeps 36 values for the 9 of a kernel (engine/ops/winograd_weights.h).
  CHECK(conv >= 36 * 64 * 128 * 4);
  CHECK(conv < 36 * 64 * 128 * 4 * 11 / 10);
  CHECK(linear >= 16 * 16 * 128 * 64 * 4);
  CHECK(weights->packed_bytes({0, 2}) == conv + linear);
  CHECK(weights->packed_bytes({0, 9}) == conv + linear);
  CHECK(weights->packed_bytes({1, 1}) == 0);
}

TEST_CASE("only the ops of the range are packed") {
  const auto model = large_model();
  const auto head = pack(model, {0, 1});
  CHECK(head->packed_bytes({0, 2}) == head->packed_bytes({0, 1}));
  CHECK(head->range() == OpRange{0, 1});
  CHECK(pack(model, {1, 1})->packed_bytes({0, 2}) == 0);
}

TEST_CASE("executors share what is packed: each costs little memory") {
  const auto model = large_model();
  const auto weights = pack(model, {0, 2});
  const std::uint64_t before = allocation_counts().live_bytes;
  std::vector<std::unique_ptr<Executor>> executors;
  for (int i = 0; i < 4; ++i) executors.push_back(make_executor(weights));
  CHECK(allocation_counts().live_bytes - before < weights->packed_bytes({0, 2}) / 100);
}

TEST_CASE("all memory that was counted is given back") {
  const std::uint64_t before = allocation_counts().live_bytes;
  {
    const auto model = branching_model();
    const auto executor = make_executor(model, 2);
    require_ok(executor->prepare({0, op_count(*model)}, 2));
    CHECK(allocation_counts().live_bytes > before);
  }
  CHECK(allocation_counts().live_bytes == before);
  CHECK(allocation_counts().peak_bytes > before);
}

TEST_CASE("a variant or range that does not exist is refused") {
  const auto model = large_model();
  CHECK(Weights::create(model, 1, {0, 1}).status().code() == StatusCode::kOutOfRange);
  CHECK(Weights::create(model, 0, {0, 3}).status().code() == StatusCode::kOutOfRange);
  CHECK(Weights::create(model, 0, {2, 1}).status().code() == StatusCode::kOutOfRange);
}

TEST_CASE("executors made at the same time from one Weights compute the same") {
  const auto model = branching_model();
  const OpRange all{0, op_count(*model)};
  const auto weights = pack(model, all);
  const fbs::Variant& variant = first_variant(*model);
  const Values input = random_values(19 * 17 * 3, 1);
  std::vector<TensorMap> results(8);
  {
    std::vector<std::jthread> threads;
    for (TensorMap& result : results) {
      threads.emplace_back([&] {
        const auto executor = make_executor(weights);
        result = run_range(*executor, all, 1, {{variant.input(), input}});
      });
    }
  }
  for (const TensorMap& result : results) CHECK(same_bytes(result, results[0]));
}

TEST_CASE("weights of a mapped file: their pages are given back and read again when needed") {
  ModelBuilder builder({9, 9, 32});
  Tensor x = builder.depthwise_conv2d(builder.input(), WindowSpec{.window = 3, .pad = 1});
  builder.conv2d(x, 16, WindowSpec{});
  const std::vector<std::byte> bytes = builder.build();
  const auto path = std::filesystem::temp_directory_path() / "cleave_engine_weights_test.cleave";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const auto opened = ModelFile::open(path.string());
  require_ok(opened.status());
  const auto weights = pack(*opened, {0, 2});
  const auto model = ModelFile::from_bytes(bytes);
  const Values input = random_values(9 * 9 * 32, 2);
  const TensorMap expected = run_range(*make_executor(*model), {0, 2}, 1, {{0, input}});
  // The second executor packs the depthwise kernel again, from pages that were dropped.
  for (int i = 0; i < 2; ++i) {
    CHECK(same_bytes(run_range(*make_executor(weights), {0, 2}, 1, {{0, input}}), expected));
  }
  std::filesystem::remove(path);
}

}  // namespace cleave::test
