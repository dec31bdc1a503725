// SPDX-License-Identifier: Apache-2.0
//
// An op's result depends on its inputs, weights and kernels only: never on where the network is
// cut, how many threads run it, or what else is in the batch.
#include "engine/executor.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>

#include "engine/aligned_buffer.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

struct Network {
  std::shared_ptr<const ModelFile> model = branching_model();
  std::shared_ptr<const Weights> weights;
  OpIndex ops = op_count(*model);
  TensorId input = first_variant(*model).input();
  TensorId output = first_variant(*model).output();

  Network() {
    auto packed = Weights::create(model, 0, {0, ops});
    require_ok(packed.status());
    weights = *packed;
  }
  [[nodiscard]] std::size_t input_elements() const {
    return element_count(*first_variant(*model).tensors()->Get(input)->shape());
  }
  [[nodiscard]] TensorMap picture(std::uint64_t seed) const {
    return {{input, random_values(input_elements(), seed)}};
  }
  [[nodiscard]] TensorMap scores(Executor& executor, const TensorMap& picture) const {
    return run_range(executor, {0, ops}, 1, picture);
  }
};

}  // namespace

TEST_CASE("the whole network agrees with the loops, at every boundary tensor") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(3);
  const auto expected =
      reference_run(*network.model, first_variant(*network.model), picture.at(network.input));
  for (OpIndex cut = 0; cut <= network.ops; ++cut) {
    CAPTURE(cut);
    for (const auto& [tensor, values] : run_range(*executor, {0, cut}, 1, picture)) {
      CHECK(largest_error(values, expected.at(tensor)) < 5e-5);
    }
  }
}

TEST_CASE("cut anywhere, head and tail give the same bytes as the unsplit run") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(4);
  const TensorMap unsplit = network.scores(*executor, picture);
  const std::vector<Cut> cuts = find_cuts(network.model->header(), 0);
  for (OpIndex cut = 0; cut <= network.ops; ++cut) {
    CAPTURE(cut);
    const TensorMap boundary = run_range(*executor, {0, cut}, 1, picture);
    REQUIRE(boundary.size() == cuts[cut].boundary_tensors.size());
    std::uint64_t bytes = 0;
    for (const auto& [tensor, values] : boundary) bytes += values.size() * sizeof(float);
    CHECK(bytes == cuts[cut].boundary_bytes);
    CHECK(same_bytes(run_range(*executor, {cut, network.ops}, 1, boundary), unsplit));
  }
}

TEST_CASE("cut twice: the middle passes on what it does not use") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(5);
  const TensorMap unsplit = network.scores(*executor, picture);
  for (OpIndex first = 0; first <= network.ops; first += 2) {
    const TensorMap head = run_range(*executor, {0, first}, 1, picture);
    for (OpIndex second = first; second <= network.ops; second += 3) {
      CAPTURE(first);
      CAPTURE(second);
      const TensorMap middle = run_range(*executor, {first, second}, 1, head);
      CHECK(same_bytes(run_range(*executor, {second, network.ops}, 1, middle), unsplit));
    }
  }
}

TEST_CASE("a change in any boundary tensor changes the scores") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(6);
  const TensorMap unsplit = network.scores(*executor, picture);
  for (OpIndex cut = 1; cut < network.ops; ++cut) {
    const TensorMap boundary = run_range(*executor, {0, cut}, 1, picture);
    for (const auto& entry : boundary) {
      TensorMap spoiled = boundary;
      // Not all of them: a softmax does not see what is added to each.
      Values& values = spoiled[entry.first];
      for (std::size_t i = 0; i < values.size(); i += 2) values[i] += 0.5F;
      CAPTURE(cut);
      CAPTURE(entry.first);
      CHECK_FALSE(same_bytes(run_range(*executor, {cut, network.ops}, 1, spoiled), unsplit));
    }
  }
}

TEST_CASE("the number of threads does not change a bit") {
  const Network network;
  const TensorMap picture = network.picture(7);
  const TensorMap one = network.scores(*make_executor(network.weights, 1), picture);
  for (const unsigned threads : {2U, 3U, 4U}) {
    CAPTURE(threads);
    const auto executor = make_executor(network.weights, threads);
    for (int run = 0; run < 3; ++run) CHECK(same_bytes(network.scores(*executor, picture), one));
  }
}

TEST_CASE("workers sleep once a run is over") {
  const Network network;
  const auto executor = make_executor(network.weights, 2);
  (void)network.scores(*executor, network.picture(7));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  // A worker that waits for more spins for about 12 ms before it sleeps.
  CHECK(std::clock() - before < 6 * CLOCKS_PER_SEC / 1000);
}

TEST_CASE("the batch does not change a bit, grown or shrunk, at any cut") {
  const Network network;
  const auto executor = make_executor(network.weights, 2);
  const TensorMap first = network.picture(100);
  for (const std::uint32_t batch : {4U, 1U, 7U, 2U}) {
    Values pictures;
    std::vector<TensorMap> alone;
    for (std::uint32_t i = 0; i < batch; ++i) {
      const TensorMap picture = network.picture(100 + i);
      pictures.insert(pictures.end(), picture.at(network.input).begin(),
                      picture.at(network.input).end());
      alone.push_back(network.scores(*executor, picture));
    }
    for (OpIndex cut = 0; cut <= network.ops; cut += 5) {
      const TensorMap boundary = run_range(*executor, {0, cut}, batch, {{network.input, pictures}});
      const Values together =
          run_range(*executor, {cut, network.ops}, batch, boundary).at(network.output);
      const std::size_t scores = together.size() / batch;
      for (std::uint32_t i = 0; i < batch; ++i) {
        const auto begin = together.begin() + static_cast<std::ptrdiff_t>(i * scores);
        CAPTURE(batch);
        CAPTURE(cut);
        CHECK(same_bytes(Values(begin, begin + static_cast<std::ptrdiff_t>(scores)),
                         alone[i].at(network.output)));
      }
    }
  }
}

TEST_CASE("a range without ops hands its inputs on") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(8);
  CHECK(same_bytes(run_range(*executor, {0, 0}, 1, picture), picture));
  const TensorMap boundary = run_range(*executor, {0, 8}, 1, picture);
  CHECK(boundary.size() > 1);
  CHECK(same_bytes(run_range(*executor, {8, 8}, 1, boundary), boundary));
  const TensorMap scores = network.scores(*executor, picture);
  CHECK(same_bytes(run_range(*executor, {network.ops, network.ops}, 1, scores), scores));
}

TEST_CASE("bound buffers are read and written in place of the executor's own") {
  const Network network;
  const auto executor = make_executor(network.weights);
  const TensorMap picture = network.picture(9);
  const OpIndex cut = 8;
  const TensorMap boundary = run_range(*executor, {0, cut}, 1, picture);
  const TensorMap expected = run_range(*executor, {cut, 16}, 1, boundary);

  std::vector<AlignedBuffer> buffers;
  for (std::size_t i = 0; i < executor->inputs().size(); ++i) {
    const Values& values = boundary.at(executor->inputs()[i].tensor);
    buffers.emplace_back(values.size() * sizeof(float));
    std::memcpy(buffers.back().data(), values.data(), values.size() * sizeof(float));
    require_ok(executor->bind_input(i, buffers.back().f32()));
    CHECK(executor->inputs()[i].data == buffers.back().f32());
  }
  const std::size_t first_output = buffers.size();
  for (std::size_t i = 0; i < executor->outputs().size(); ++i) {
    buffers.emplace_back(executor->outputs()[i].elements * sizeof(float));
    require_ok(executor->bind_output(i, buffers.back().f32()));
  }
  require_ok(executor->run());
  for (std::size_t i = 0; i < executor->outputs().size(); ++i) {
    const BoundaryBuffer& output = executor->outputs()[i];
    CHECK(output.data == buffers[first_output + i].f32());
    CHECK(same_bytes(Values(output.f32().begin(), output.f32().end()), expected.at(output.tensor)));
  }

  // Back to its own: what is bound must no longer be touched.
  for (std::size_t i = 0; i < executor->outputs().size(); ++i) {
    require_ok(executor->bind_output(i, nullptr));
    std::memset(buffers[first_output + i].data(), 0x7f, buffers[first_output + i].capacity());
  }
  require_ok(executor->run());
  for (std::size_t i = 0; i < executor->outputs().size(); ++i) {
    const BoundaryBuffer& output = executor->outputs()[i];
    CHECK(output.data != buffers[first_output + i].f32());
    CHECK(same_bytes(Values(output.f32().begin(), output.f32().end()), expected.at(output.tensor)));
    CHECK(buffers[first_output + i].data()[0] == std::byte{0x7f});
  }
}

TEST_CASE("what cannot be run is refused, and leaves the executor unprepared") {
  const Network network;
  auto weights = Weights::create(network.model, 0, {4, 10});
  require_ok(weights.status());
  const auto executor = make_executor(*weights);
  CHECK(executor->run().code() == StatusCode::kInternal);
  CHECK(executor->prepare({3, 10}, 1).code() == StatusCode::kOutOfRange);
  CHECK(executor->prepare({4, 11}, 1).code() == StatusCode::kOutOfRange);
  CHECK(executor->prepare({6, 5}, 1).code() == StatusCode::kOutOfRange);
  CHECK(executor->prepare({4, 10}, 0).code() == StatusCode::kOutOfRange);
  CHECK(executor->prepare({4, 10}, 1025).code() == StatusCode::kOutOfRange);
  require_ok(executor->prepare({4, 10}, 1));
  CHECK_FALSE(executor->inputs().empty());
  CHECK(executor->bind_input(executor->inputs().size(), nullptr).code() == StatusCode::kOutOfRange);
  AlignedBuffer buffer(1024);
  CHECK(executor->bind_input(0, buffer.f32() + 1).code() == StatusCode::kInvalidArgument);
  CHECK(executor->prepare({0, 10}, 1).code() == StatusCode::kOutOfRange);
  CHECK(executor->run().code() == StatusCode::kInternal);
  CHECK(executor->inputs().empty());
  CHECK(executor->arena_bytes() == 0);
  CHECK(Executor::create(*weights, {.threads = 0}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Executor::create(*weights, {.threads = 257}).status().code() ==
        StatusCode::kInvalidArgument);
}

TEST_CASE("the kernel set has a name") {
  CHECK(std::strlen(kernel_set_name()) > 0);
  CHECK(std::string(kernel_set_name()) != "unknown");
}

}  // namespace cleave::test
