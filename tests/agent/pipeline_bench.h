// SPDX-License-Identifier: Apache-2.0
//
// Pictures through a pipeline against a scripted server.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/pipeline.h"
#include "engine/image/jpeg_encoder.h"
#include "tests/agent/scripted_server.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent::testing {

// A JPEG of bytes that compress badly; gives its size.
inline std::size_t write_picture(const std::string& path, std::uint32_t width,
                                 std::uint32_t height) {
  std::vector<std::uint8_t> rgb(std::size_t{width} * height * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
  const auto jpeg = encode_jpeg(rgb, width, height, 90);
  REQUIRE(jpeg.is_ok());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(jpeg->data()),
             static_cast<std::streamsize>(jpeg->size()));
  return jpeg->size();
}

inline constexpr std::uint32_t kLargeSide = 256;

struct PipelineBench {
  test::TemporaryFolder folder;
  std::string picture = folder / "picture.jpg";
  std::string last_picture = picture;
  std::size_t file_bytes = write_picture(picture, 64, 48);
  std::size_t ops;
  std::shared_ptr<const ModelFile> model;

  // `side` of the model's square input: with kLargeSide pictures have many more bytes as pixels
  // than their files.
  explicit PipelineBench(int convolutions = 1, std::uint32_t channels = 4, std::uint32_t side = 8)
      : ops(static_cast<std::size_t>(convolutions) + 1) {
    test::ModelBuilder builder({side, side, 3});
    test::Tensor x = builder.input();
    for (int i = 0; i < convolutions; ++i) {
      x = builder.conv2d(x, channels,
                         test::WindowSpec{.window = 3, .stride = i == 0 ? side / 8 : 1, .pad = 1});
    }
    builder.fully_connected(x, 3);
    auto file = ModelFile::from_bytes(builder.build());
    REQUIRE(file.is_ok());
    model = *file;
  }

  // Processes the picture `count` times, cut at `split` layers.
  [[nodiscard]] std::vector<Record> process(const test::ScriptedServer& server, std::uint32_t split,
                                            int count, PipelineOptions options = {}) const {
    asio::io_context io(1);
    ConnectionOptions link;
    link.server = {"127.0.0.1", server.port()};
    link.model_identity = model->identity();
    link.score_count = 3;
    link.uplink_bits_per_second = uplink_bits_per_second;
    Connection connection(io.get_executor(), link);
    auto planner = SplitPlanner::create(*model, 0, 0);
    REQUIRE(planner.is_ok());
    options.fixed_split = Split{.layers_on_device = split, .op_boundary = split};
    return run(connection, *planner, count, io, options);
  }

  // Planned, by the tables that make the device's ops take `edge_op_ns` each.
  [[nodiscard]] std::vector<Record> plan(const test::ScriptedServer& server,
                                         std::uint64_t edge_op_ns, int count,
                                         const PipelineOptions& options,
                                         std::chrono::milliseconds last_pause = {}) const {
    asio::io_context io(1);
    ConnectionOptions link;
    link.server = {"127.0.0.1", server.port()};
    link.model_identity = model->identity();
    link.score_count = 3;
    link.first_backoff = link.longest_backoff = std::chrono::milliseconds(1);
    Connection connection(io.get_executor(), link);
    auto planner = SplitPlanner::create(*model, 0, 0);
    REQUIRE(planner.is_ok());
    ProfileData profile;
    profile.variants.push_back(
        {"f32", 1, 1, std::vector(ops, edge_op_ns), std::vector(ops, edge_op_ns)});
    REQUIRE(planner->set_edge_profile(profile).is_ok());
    return run(connection, *planner, count, io, options, last_pause);
  }

  [[nodiscard]] std::vector<Record> run(Connection& connection, SplitPlanner& planner, int count,
                                        asio::io_context& io, const PipelineOptions& options,
                                        std::chrono::milliseconds last_pause = {}) const {
    Pipeline pipeline(io.get_executor(), model, options, &planner, &connection);
    std::vector<Record> records(static_cast<std::size_t>(count));
    Turns places(io.get_executor(), options.overlap);
    const auto answer = [&](int i) -> asio::awaitable<void> {
      PictureTask task{.image = i == count - 1 ? last_picture : picture};
      Processed done = co_await pipeline.process(std::move(task));
      records[static_cast<std::size_t>(i)] = std::move(done.record);
      places.leave();
    };
    const auto answer_all = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < count; ++i) {
        (void)co_await places.enter();
        if (i == count - 1) std::this_thread::sleep_for(last_pause);
        asio::co_spawn(io, answer(i), asio::detached);
      }
      for (std::size_t i = 0; i < options.overlap; ++i) (void)co_await places.enter();
      co_await connection.close();
    };
    asio::co_spawn(io, answer_all(), asio::detached);
    io.run();
    last_counters = pipeline.counters();
    last_link = connection.counters();
    return records;
  }

  std::uint64_t uplink_bits_per_second = 0;  // of process()
  // Of the last run.
  mutable PipelineCounters last_counters;
  mutable LinkCounters last_link;
};

}  // namespace cleave::agent::testing
