// SPDX-License-Identifier: Apache-2.0
//
// One picture against servers that are busy, or take no files as large as it.
#include "agent/pipeline.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "engine/memory/counting_allocator.h"
#include "tests/agent/pipeline_bench.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;
using testing::kLargeSide;
using testing::PipelineBench;
using testing::write_picture;

constexpr std::size_t kPixelBytes = 8 * 8 * 3;

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

TEST_CASE("a request whose connection broke is sent again under its id, the next under another") {
  const PipelineBench bench;
  std::vector<std::uint64_t> ids;
  const ScriptedServer server([&](ScriptedPeer& peer, int connection) {
    peer.greet(bench.model->identity());
    while (const fbs::Envelope* message = peer.receive()) {
      if (message->message_as_Request() == nullptr) continue;
      ids.push_back(message->message_as_Request()->request_id());
      if (connection == 0 && ids.size() == 2) return;  // computed, perhaps; its answer is lost
      peer.send(make_answer(ids.back(), std::vector<float>{1, 2, 3}, {}));
    }
  });
  const std::vector<Record> records = bench.process(server, 1, 3);
  REQUIRE(records.size() == 3);
  for (const Record& record : records) CHECK(record.fallback.empty());
  REQUIRE(ids.size() == 4);
  CHECK(ids[1] == ids[2]);
  CHECK(ids[0] != ids[1]);
  CHECK(ids[3] != ids[2]);
}

TEST_CASE("while a busy server wants its pause, the device answers and does not ask") {
  const PipelineBench bench;
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    serve_after_busy(peer, bench.model->identity(), 30'000, requests);
  });
  const std::vector<Record> records = bench.process(server, 1, 3);
  REQUIRE(records.size() == 3);
  for (const Record& record : records) {
    CHECK(record.status.is_ok());
    CHECK(record.scores.size() == 3);
    CHECK(record.sent.empty());
  }
  // What was sent for nothing counts as well.
  CHECK(records[0].bytes_up == 8 * 8 * 4 * sizeof(float));
  CHECK(records[1].bytes_up == 0);
  CHECK(records[2].bytes_up == 0);
  CHECK(records[0].fallback.find("full") != std::string::npos);
  CHECK(records[2].fallback.find("asked for a pause") != std::string::npos);
  CHECK(requests == 1);
}

TEST_CASE("a device without room to answer waits out the pause, as long as its picture may") {
  const PipelineBench bench;
  std::atomic<int> requests{0};
  PipelineOptions options;
  const auto planner = SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(planner.is_ok());
  options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;  // the head alone
  SUBCASE("long enough") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      serve_after_busy(peer, bench.model->identity(), 1'000, requests);
    });
    const Record record = bench.process(server, 1, 1, options).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
    CHECK(record.sent == kSentTensors);
    CHECK(record.total_ns >= 1'000'000'000);
    CHECK(requests == 2);
  }
  SUBCASE("not long enough") {
    options.timeout = std::chrono::seconds(2);
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      serve_after_busy(peer, bench.model->identity(), 60'000, requests);
    });
    const std::vector<Record> records = bench.process(server, 1, 2, options);
    for (const Record& record : records) {
      CHECK(record.status.code() == StatusCode::kUnavailable);
      CHECK(record.total_ns < 20'000'000'000);
    }
    CHECK(requests == 1);
  }
}

TEST_CASE("tensors that a server can not decode are sent again, and then finished here") {
  const PipelineBench bench;
  std::vector<std::uint64_t> ids;
  std::size_t refused = 0;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity());
    while (const std::uint64_t id = peer.next_request()) {
      ids.push_back(id);
      if (ids.size() <= refused) {
        peer.send(make_error(id, fbs::ErrorCode::BadPicture, "a stream that does not decode"));
      } else {
        peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
      }
    }
  });
  SUBCASE("damaged once") {
    refused = 1;
    const Record record = bench.process(server, 1, 1).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
    CHECK(record.wire_id == ids.back());
    CHECK(bench.last_counters.fallbacks == 0);
  }
  SUBCASE("twice") {
    refused = 2;
    const Record record = bench.process(server, 1, 1).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.find("a stream that does not decode") != std::string::npos);
    CHECK(bench.last_counters.fallbacks == 1);
  }
  SUBCASE("twice, and this device can not") {
    refused = 2;
    PipelineOptions options;
    const auto planner = SplitPlanner::create(*bench.model, 0, 0);
    REQUIRE(planner.is_ok());
    options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;
    const Record record = bench.process(server, 1, 1, options).at(0);
    CHECK(record.status.code() == StatusCode::kInvalidArgument);
  }
  REQUIRE(ids.size() == 2);
  CHECK(ids[0] != ids[1]);
  CHECK(bench.last_counters.retries == 1);
}

TEST_CASE("a file that a server can not decode is sent once") {
  const PipelineBench bench;
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity());
    while (const std::uint64_t id = peer.next_request()) {
      ++requests;
      peer.send(make_error(id, fbs::ErrorCode::BadPicture, "no picture"));
    }
  });
  const Record record = bench.process(server, 0, 1).at(0);
  CHECK(record.status.code() == StatusCode::kInvalidArgument);
  CHECK(requests == 1);
}

TEST_CASE("at split 0 a file goes as it is up to the server's limit, above it as pixels") {
  const PipelineBench bench;
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

TEST_CASE("a link that was slow is not used, and tried again after a while without transfers") {
  const PipelineBench bench(8, 64, kLargeSide);
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      const std::uint64_t id = envelope->message_as_Request()->request_id();
      if (requests++ == 0) std::this_thread::sleep_for(std::chrono::seconds(2));
      peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
    }
  });
  PipelineOptions options;
  options.online.request.policy = planner::Policy::kLatencyOnly;
  options.online.initial_link = {.bandwidth_bps = 100'000'000, .rtt_ns = 0, .available = true};
  options.online.link_drift_ns = 250'000'000;
  // 900 ms on the device by its table, a few by what the first picture there took: slower than the
  // server by the first belief, faster by the first transfer.
  const std::vector<Record> records =
      bench.plan(server, 100'000'000, 4, options, std::chrono::seconds(4));
  REQUIRE(records.size() == 4);
  for (const Record& record : records) {
    CHECK_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
  }
  CHECK(records[0].split == 0);
  CHECK(records[1].split == bench.ops);
  CHECK(records[2].split == bench.ops);
  CHECK(records[3].split == 0);
  CHECK(requests == 2);
}

TEST_CASE("a JPEG goes as pixels where these are fewer bytes") {
  const PipelineBench bench(1, 96);
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      peer.send(make_answer(envelope->message_as_Request()->request_id(),
                            std::vector<float>{1, 2, 3}, {}));
    }
  });
  PipelineOptions options;
  options.online.request.policy = planner::Policy::kLatencyOnly;
  options.online.initial_link = {.bandwidth_bps = 100'000, .rtt_ns = 0, .available = true};
  options.online.keep_link = true;
  const Record planned = bench.plan(server, 1'000'000'000'000, 1, options).at(0);
  REQUIRE_MESSAGE(planned.status.is_ok(), planned.status.message());
  CHECK(planned.split == 0);
  CHECK(planned.sent == kSentPixels);
  CHECK(planned.bytes_up == 8 * 8 * 3);
  // A split that is given is not planned.
  const Record given = bench.process(server, 0, 1).at(0);
  REQUIRE_MESSAGE(given.status.is_ok(), given.status.message());
  CHECK(given.sent == kSentJpeg);
  CHECK(given.bytes_up == bench.file_bytes);
}

TEST_CASE("a transfer that broke says nothing about the link when the next try comes to nothing") {
  const PipelineBench bench(1, 4, kLargeSide);
  REQUIRE(bench.file_bytes > planner::LinkEstimator::kSmallBytes);
  const ScriptedServer server([&](ScriptedPeer& peer, int number) {
    if (number == 1) {  // silent from the start, until the agent gives up
      while (peer.receive() != nullptr) {
      }
      return;
    }
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    const fbs::Envelope* envelope = peer.receive();
    if (envelope == nullptr || envelope->message_as_Request() == nullptr) return;
    const std::uint64_t id = envelope->message_as_Request()->request_id();
    if (number == 0) {  // closes without an answer
      std::this_thread::sleep_for(std::chrono::seconds(1));
      return;
    }
    peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
    (void)peer.receive();
  });
  PipelineOptions options;
  options.online.request.policy = planner::Policy::kLatencyOnly;
  options.online.initial_link = {.bandwidth_bps = 100'000'000, .rtt_ns = 0, .available = true};
  options.timeout = std::chrono::seconds(4);
  // 200 ms on the device: a link on which the file takes a second would not be used.
  const std::vector<Record> records =
      bench.plan(server, 100'000'000, 2, options, std::chrono::milliseconds(200));
  REQUIRE(records.size() == 2);
  CHECK(records[0].planned_split == 0);
  CHECK(records[0].bytes_up == bench.file_bytes);
  CHECK_FALSE(records[0].fallback.empty());
  CHECK(records[1].planned_split == 0);
  CHECK(records[1].fallback.empty());
  CHECK(server.connections() == 3);
}

TEST_CASE(
    "a split that would take longer than the timeout is not tried, if the device can answer") {
  const PipelineBench bench(1, 4, kLargeSide);
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      ++requests;
      peer.send(make_answer(envelope->message_as_Request()->request_id(),
                            std::vector<float>{1, 2, 3}, {}));
    }
  });
  PipelineOptions options;
  options.online.request.policy = planner::Policy::kLatencyOnly;
  options.online.initial_link = {.bandwidth_bps = 100, .rtt_ns = 0, .available = true};
  options.online.keep_link = true;
  options.timeout = std::chrono::seconds(20);
  SUBCASE("it can") {
    const Record record = bench.plan(server, 1'000'000'000'000, 1, options).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.split == 2);
    CHECK(record.fallback.find("--timeout") != std::string::npos);
    CHECK(requests == 0);
  }
  SUBCASE("it has no room: the server is asked, in case the prediction is wrong") {
    const auto planner = SplitPlanner::create(*bench.model, 0, 0);
    REQUIRE(planner.is_ok());
    options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;
    const Record record = bench.plan(server, 1'000'000'000'000, 1, options).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.split < 2);
    CHECK(requests == 1);
  }
}

TEST_CASE("a split that is kept for a while is not kept past the timeout") {
  PipelineBench bench(1, 96, kLargeSide);
  bench.last_picture = bench.folder / "large.jpg";
  REQUIRE(write_picture(bench.last_picture, 640, 480) > 50 * bench.file_bytes);
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      ++requests;
      peer.send(make_answer(envelope->message_as_Request()->request_id(),
                            std::vector<float>{1, 2, 3}, {}));
    }
  });
  PipelineOptions options;
  // The small file takes a second, the large one 50 and more, and the device 10. The change to the
  // device comes sooner after the first decision than the rule for changes allows.
  options.online.initial_link = {
      .bandwidth_bps = bench.file_bytes * 8, .rtt_ns = 0, .available = true};
  options.online.keep_link = true;
  options.timeout = std::chrono::seconds(30);
  const std::vector<Record> records = bench.plan(server, 5'000'000'000, 2, options);
  REQUIRE(records.size() == 2);
  for (const Record& record : records) {
    CHECK_MESSAGE(record.status.is_ok(), record.status.message());
  }
  CHECK(records[0].split == 0);
  CHECK(records[1].split == 2);
  CHECK(requests == 1);
}

TEST_CASE("without its server a device that has room for a head alone names the server") {
  const PipelineBench bench(1, 4, kLargeSide);
  const ScriptedServer server([](ScriptedPeer&, int) {});  // closes at once
  PipelineOptions options;
  const auto planner = SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(planner.is_ok());
  const std::uint64_t head = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  for (const auto policy : {planner::Policy::kLmos, planner::Policy::kServerOnly}) {
    options.online.request.policy = policy;
    options.caps.ram_bytes = head;
    const Status unreachable = bench.plan(server, 1'000, 1, options).at(0).status;
    CHECK(unreachable.code() == StatusCode::kUnavailable);
    CHECK(unreachable.message().find(address) != std::string::npos);
    options.caps.ram_bytes = bench.file_bytes;  // for nothing at all
    CHECK(bench.plan(server, 1'000, 1, options).at(0).status.code() ==
          StatusCode::kResourceExhausted);
  }
}

TEST_CASE("the weights of an op are never held twice, whatever the splits and fallbacks before") {
  const PipelineBench bench(5, 96);
  std::atomic<int> requests{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      const std::uint64_t id = envelope->message_as_Request()->request_id();
      if (requests++ % 2 == 0) {
        peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
      } else {
        peer.send(make_error(id, fbs::ErrorCode::Busy, "full"));
      }
    }
  });
  PipelineOptions options;
  options.online.request.policy = planner::Policy::kRandom;
  options.online.initial_link = {.bandwidth_bps = 100'000'000, .rtt_ns = 0, .available = true};
  std::uint64_t weights = 0;
  const fbs::Variant& variant = *bench.model->header().variants()->Get(0);
  for (OpIndex op = 0; op < variant.ops()->size(); ++op) weights += weight_ram_bytes(variant, op);
  REQUIRE(weights > 5'200'000);  // four of 1.3 MB and two small ones
  const std::uint64_t before = allocation_counts().live_bytes;
  const std::vector<Record> records = bench.plan(server, 1'000, 60, options);
  REQUIRE(records.size() == 60);
  std::vector<float> alone;
  int fallbacks = 0;
  for (const Record& record : records) {
    CHECK_MESSAGE(record.status.is_ok(), record.status.message());
    if (record.split < bench.ops) continue;  // the script's scores
    fallbacks += record.fallback.empty() ? 0 : 1;
    if (alone.empty()) alone = record.scores;
    CHECK(record.scores == alone);
  }
  CHECK(fallbacks > 10);
  // Arenas of 8 x 8 x 96 activations, operators and packing beside them; a second copy of an op's
  // weights would be 1.3 MB.
  CHECK(allocation_counts().peak_bytes - before < weights + 500'000);
}

}  // namespace cleave::agent
