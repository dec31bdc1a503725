// SPDX-License-Identifier: Apache-2.0
//
// One picture against servers that are busy, or take no files as large as it.
#include "agent/pipeline.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

#include "engine/image/jpeg_encoder.h"
#include "tests/agent/scripted_server.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;

constexpr std::size_t kPixelBytes = 8 * 8 * 3;

struct Bench {
  test::TemporaryFolder folder;
  std::string picture = folder / "picture.jpg";
  std::size_t file_bytes = 0;
  std::shared_ptr<const ModelFile> model;

  Bench() {
    std::vector<std::uint8_t> rgb(64 * 48 * 3);
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
    const auto jpeg = encode_jpeg(rgb, 64, 48, 90);
    REQUIRE(jpeg.is_ok());
    file_bytes = jpeg->size();
    std::ofstream(picture, std::ios::binary)
        .write(reinterpret_cast<const char*>(jpeg->data()),
               static_cast<std::streamsize>(jpeg->size()));
    test::ModelBuilder builder({8, 8, 3});
    builder.fully_connected(
        builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1}), 3);
    auto file = ModelFile::from_bytes(builder.build());
    REQUIRE(file.is_ok());
    model = *file;
  }

  // Processes the picture `count` times, cut at `split` layers.
  [[nodiscard]] std::vector<Record> process(const ScriptedServer& server, std::uint32_t split,
                                            int count, PipelineOptions options = {}) const {
    asio::io_context io(1);
    ConnectionOptions link;
    link.server = {"127.0.0.1", server.port()};
    link.model_identity = model->identity();
    link.score_count = 3;
    Connection connection(io.get_executor(), link);
    auto planner = SplitPlanner::create(*model, 0, 0);
    REQUIRE(planner.is_ok());
    options.fixed_split = Split{.layers_on_device = split, .op_boundary = split};
    Pipeline pipeline(model, options, &*planner, &connection);
    std::vector<Record> records;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          for (int i = 0; i < count; ++i) records.push_back(co_await pipeline.process(picture));
          co_await connection.close();
        },
        asio::detached);
    io.run();
    return records;
  }
};

// Busy to the first request, an answer to every other.
void serve_after_busy(ScriptedPeer& peer, const ModelIdentity& identity,
                      std::uint32_t retry_after_ms, std::atomic<int>& requests) {
  peer.greet(identity);
  while (const fbs::Envelope* request = peer.receive()) {
    if (request->message_as_Request() == nullptr) continue;
    const std::uint64_t id = request->message_as_Request()->request_id();
    if (requests++ == 0) {
      peer.send(make_error(id, fbs::ErrorCode::Busy, "full", retry_after_ms));
    } else {
      peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
    }
  }
}

}  // namespace

TEST_CASE("while a busy server wants its pause, the device answers and does not ask") {
  const Bench bench;
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    serve_after_busy(peer, bench.model->identity(), 30'000, requests);
  });
  const std::vector<Record> records = bench.process(server, 1, 3);
  REQUIRE(records.size() == 3);
  for (const Record& record : records) {
    CHECK(record.status.is_ok());
    CHECK(record.scores.size() == 3);
    CHECK(record.bytes_up == 0);
    CHECK(record.sent.empty());
  }
  CHECK(records[0].fallback.find("full") != std::string::npos);
  CHECK(records[2].fallback.find("asked for a pause") != std::string::npos);
  CHECK(requests == 1);
}

TEST_CASE("a device without room to answer waits out the pause, as long as its picture may") {
  const Bench bench;
  std::atomic<int> requests{0};
  PipelineOptions options;
  const auto planner = SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(planner.is_ok());
  options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;  // the head alone
  SUBCASE("long enough") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      serve_after_busy(peer, bench.model->identity(), 150, requests);
    });
    const Record record = bench.process(server, 1, 1, options).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
    CHECK(record.sent == kSentTensors);
    CHECK(record.total_ns >= 150'000'000);
    CHECK(requests == 2);
  }
  SUBCASE("not long enough") {
    options.timeout = std::chrono::milliseconds(100);
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      serve_after_busy(peer, bench.model->identity(), 30'000, requests);
    });
    const std::vector<Record> records = bench.process(server, 1, 2, options);
    for (const Record& record : records) {
      CHECK(record.status.code() == StatusCode::kUnavailable);
      CHECK(record.total_ns < 1'000'000'000);
    }
    CHECK(requests == 1);
  }
}

TEST_CASE("at split 0 a file goes as it is up to the server's limit, above it as pixels") {
  const Bench bench;
  std::vector<std::pair<fbs::Codec, std::size_t>> seen;
  const auto run = [&](std::uint64_t max_picture_bytes) {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      peer.greet(bench.model->identity(), max_picture_bytes);
      const fbs::Envelope* envelope = peer.receive();
      if (envelope == nullptr || envelope->message_as_Request() == nullptr) return;
      const fbs::Request& request = *envelope->message_as_Request();
      seen.emplace_back(request.codec(), peer.attachment_bytes());
      peer.send(make_answer(request.request_id(), std::vector<float>{1, 2, 3}, {}));
      (void)peer.receive();
    });
    const Record record = bench.process(server, 0, 1).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
    return record;
  };
  const Record whole = run(bench.file_bytes);
  CHECK(whole.sent == kSentJpeg);
  CHECK(whole.bytes_up == bench.file_bytes);
  const Record pixels = run(bench.file_bytes - 1);
  CHECK(pixels.sent == kSentPixels);
  CHECK(pixels.bytes_up == kPixelBytes);
  CHECK(seen == std::vector<std::pair<fbs::Codec, std::size_t>>{
                    {fbs::Codec::Jpeg, bench.file_bytes}, {fbs::Codec::PixelsU8, kPixelBytes}});
}

}  // namespace cleave::agent
