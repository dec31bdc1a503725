// SPDX-License-Identifier: Apache-2.0
//
// Several pictures in work at a time: what crosses is encoded beside the next head, by the codec of
// its own cut.
#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <set>

#include "schemas/protocol.h"
#include "tests/agent/pipeline_bench.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;
using testing::PipelineBench;

constexpr CodecChoice kExact{.codec = fbs::Codec::Lossless};

// What came, by the cut that it was of: the picture is always the same.
struct Payloads {
  std::mutex mutex;
  std::map<std::uint32_t, std::set<std::vector<std::byte>>> by_cut;
};

ScriptedServer answering(const PipelineBench& bench, Payloads& payloads) {
  return ScriptedServer([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops, kFeatureBoundaryCodecs);
    while (const fbs::Envelope* message = peer.receive()) {
      if (const fbs::Ping* ping = message->message_as_Ping()) {
        peer.send(make_pong(ping->nonce()));
        continue;
      }
      const fbs::Request* request = message->message_as_Request();
      if (request == nullptr) continue;
      {
        const std::lock_guard lock(payloads.mutex);
        payloads.by_cut[request->cut()].insert(peer.attachment());
      }
      peer.send(make_answer(request->request_id(), std::vector<float>{1, 2, 3}, {}));
    }
  });
}

// Lossless at each cut behind the first op, and nothing else.
CutCodecs lossless_everywhere(std::size_t ops) {
  std::vector<CodecsAtCut> cuts;
  for (OpIndex cut = 1; cut < ops; ++cut) {
    cuts.push_back({.op_boundary = cut, .codecs = {{.choice = kExact, .bytes = 1'000}}});
  }
  return CutCodecs(std::move(cuts));
}

// Planned at random among all splits: nearly every picture has another cut than the one before it.
std::vector<Record> at_random(const PipelineBench& bench, const ScriptedServer& server,
                              std::size_t overlap, int count) {
  asio::io_context io(1);
  ConnectionOptions link;
  link.server = {"127.0.0.1", server.port()};
  link.model_identity = bench.model->identity();
  link.score_count = 3;
  Connection connection(io.get_executor(), link);
  auto planner = SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(planner.is_ok());
  ProfileData profile;
  const std::vector<std::uint64_t> op_ns(bench.ops, 1'000);
  profile.variants.push_back({"f32", 1, 1, op_ns, op_ns});
  REQUIRE(planner->set_edge_profile(profile).is_ok());
  REQUIRE(planner->use_codecs(lossless_everywhere(bench.ops)).is_ok());
  PipelineOptions options;
  options.overlap = overlap;
  options.caps.min_split = 1;
  options.online.request.policy = planner::Policy::kRandom;
  options.online.initial_link = {.bandwidth_bps = 100'000'000, .rtt_ns = 0, .available = true};
  return bench.run(connection, *planner, count, io, options);
}

}  // namespace

TEST_CASE("while one picture is encoded, the head of another is computed") {
  constexpr int kPictures = 16;
  const PipelineBench bench(1, 64);
  // Decoded in tens of milliseconds, which is a part of the head: on a busy machine a short one is
  // over before the next picture is begun.
  (void)testing::write_picture(bench.picture, 2000, 1500);
  Payloads payloads;
  const ScriptedServer server = answering(bench, payloads);
  PipelineOptions options;
  options.codec = kExact;
  const auto encode_all = [&](std::size_t overlap) {
    options.overlap = overlap;
    for (const Record& record : bench.process(server, 1, kPictures, options)) {
      REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
      CHECK(record.codec == "lossless");
      CHECK(record.encode_ns > 0);
    }
    CHECK(payloads.by_cut[1].size() == 1);
    return bench.last_counters.encoded_beside;
  };
  CHECK(encode_all(1) == 0);
  const std::uint64_t beside = encode_all(4);
  CHECK(beside > 0);
  CHECK(beside < kPictures);  // behind the last there is none
}

TEST_CASE("a picture of another cut is not begun before those before it are encoded") {
  const PipelineBench bench(4, 16);
  Payloads alone;
  {
    const ScriptedServer server = answering(bench, alone);
    for (std::uint32_t cut = 1; cut < bench.ops; ++cut) {
      PipelineOptions options;
      options.codec = kExact;
      REQUIRE(bench.process(server, cut, 1, options).at(0).status.is_ok());
    }
  }
  REQUIRE(alone.by_cut.size() == bench.ops - 1);
  Payloads together;
  const ScriptedServer server = answering(bench, together);
  std::set<std::uint32_t> cuts;
  for (const Record& record : at_random(bench, server, 4, 200)) {
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.fallback.empty());
    cuts.insert(record.split);
    if (record.split < bench.ops) CHECK(record.codec == "lossless");
  }
  CHECK(cuts.size() == bench.ops);  // one of them the whole network here
  CHECK(bench.last_counters.most_in_work > 1);
  CHECK(together.by_cut == alone.by_cut);
}

}  // namespace cleave::agent
