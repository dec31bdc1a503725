// SPDX-License-Identifier: Apache-2.0
//
// A small network with tables made up for it, to plan for picture after picture.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

#include "agent/online_planner.h"
#include "tests/support/model_builder.h"

namespace cleave::agent::testing {

inline constexpr std::uint64_t kMillisecond = 1'000'000;

// Four layers. On the device each takes 10 ms, on the server 1 ms. What crosses behind the first
// three are 768, 192 and 48 values of 4 bytes.
struct OnlineBench {
  std::shared_ptr<const ModelFile> model;
  std::vector<std::uint64_t> edge_op_ns{4, 10 * kMillisecond};
  std::vector<std::uint64_t> server_op_ns{4, kMillisecond};
  std::unique_ptr<SplitPlanner> splits;

  OnlineBench() : edge_op_ns(4, 10 * kMillisecond), server_op_ns(4, kMillisecond) {
    // More bytes as pixels than the pictures' files have.
    test::ModelBuilder builder({256, 256, 3});
    test::Tensor x =
        builder.conv2d(builder.input(), 3, test::WindowSpec{.window = 3, .stride = 16, .pad = 1});
    x = builder.conv2d(x, 3, test::WindowSpec{.window = 3, .stride = 2, .pad = 1});
    x = builder.conv2d(x, 3, test::WindowSpec{.window = 3, .stride = 2, .pad = 1});
    builder.fully_connected(x, 3);
    auto file = ModelFile::from_bytes(builder.build());
    REQUIRE(file.is_ok());
    model = *file;
    splits = make_splits();
  }

  [[nodiscard]] std::unique_ptr<SplitPlanner> make_splits() const {
    auto made = SplitPlanner::create(*model, 0, 0);
    REQUIRE(made.is_ok());
    REQUIRE(made->set_edge_table(edge_table()).is_ok());
    return std::make_unique<SplitPlanner>(std::move(*made));
  }

  // Measured at 1 GHz.
  [[nodiscard]] EdgeTable edge_table() const {
    return {.op_ns = edge_op_ns,
            .input_ns = 2 * kMillisecond,
            .threads = 1,
            .speed = {.clock_khz = 1'000'000, .cores = 1}};
  }

  [[nodiscard]] HandshakeSeen handshake(std::uint64_t rtt_ns = kMillisecond) const {
    return {.rtt_ns = rtt_ns, .op_ns = server_op_ns, .input_ns = 3 * kMillisecond};
  }
};

// Least latency, so that every choice follows from the times alone.
inline OnlineOptions least_latency() {
  OnlineOptions options;
  options.request.policy = planner::Policy::kLatencyOnly;
  options.initial_link = {.bandwidth_bps = 100'000'000, .rtt_ns = 0, .available = false};
  options.timeout_ns = 60'000 * kMillisecond;
  return options;
}

inline Situation reached_at(std::uint64_t now_ns) {
  Situation situation;
  situation.now_ns = now_ns;
  situation.picture = {.is_jpeg = true, .file_bytes = 100'000};
  situation.file_bytes = 100'000;
  situation.has_server = situation.reached = true;
  return situation;
}

}  // namespace cleave::agent::testing
