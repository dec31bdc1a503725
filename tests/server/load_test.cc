// SPDX-License-Identifier: Apache-2.0
//
// Many agents at once, more requests than the queue holds, and a shutdown under load: every request
// gets exactly one reply.
#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/server/raw_client.h"
#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

struct Tally {
  std::atomic<unsigned> answers{0}, busy{0}, refused{0}, other{0};
};

// Sends `count` requests without waiting, then reads until each has its reply or the server closed.
void flood(const ServerThread& server, unsigned count, Tally& tally) {
  RawClient client(server.port());
  const server::LoadedModel& model = server.model();
  if (!client.send(make_hello("flood", model.file->identity())) || client.receive() == nullptr)
    return;
  const std::vector<float> tensors(model.variants[0].cuts[1].boundary_bytes / sizeof(float), 0.5F);
  std::set<std::uint64_t> open;
  for (unsigned i = 1; i <= count; ++i) {
    if (!client.send(make_request(i, 0, 1, fbs::Codec::RawF32, 0, tensors.size() * 4)) ||
        !client.send(std::as_bytes(std::span(tensors)))) {
      break;
    }
    open.insert(i);
  }
  while (!open.empty()) {
    const fbs::Envelope* reply = client.receive();
    if (reply == nullptr) return;
    std::uint64_t id = 0;
    if (const fbs::Answer* answer = reply->message_as_Answer()) {
      id = answer->request_id();
      ++tally.answers;
    } else if (const fbs::Error* error = reply->message_as_Error()) {
      id = error->request_id();
      if (error->code() == fbs::ErrorCode::Busy) {
        ++tally.busy;
      } else if (error->code() == fbs::ErrorCode::ShuttingDown) {
        ++tally.refused;
      } else {
        ++tally.other;
      }
    } else {
      continue;  // Goodbye
    }
    CHECK_MESSAGE(open.erase(id) == 1, "a second reply to request " << id);
  }
}

}  // namespace

TEST_CASE("each of many requests gets exactly one reply: an answer or Busy") {
  ServerThread server(all_ops_model().build(), [](server::ServerOptions& options) {
    options.workers = 2;
    options.queue_capacity = 3;
  });
  Tally tally;
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i) clients.emplace_back([&] { flood(server, 20, tally); });
  for (std::thread& client : clients) client.join();
  CHECK(tally.answers + tally.busy == 12 * 20);
  CHECK(tally.answers > 0);
  CHECK(tally.other == 0);
  const server::ServerStats& stats = server.stop();
  CHECK(stats.requests == 12 * 20);
  CHECK(stats.answers == tally.answers);
  CHECK(stats.busy == tally.busy);
}

TEST_CASE("a shutdown under load ends, and nobody gets a wrong reply") {
  ServerThread server(all_ops_model().build(), [](server::ServerOptions& options) {
    options.drain_timeout = std::chrono::milliseconds(3'000);
  });
  Tally tally;
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back([&] { flood(server, 200, tally); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  server.stop();
  for (std::thread& client : clients) client.join();
  CHECK(tally.other == 0);
}

TEST_CASE("hundreds of idle agents do not keep one from being answered") {
  ServerThread server(all_ops_model().build());
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 300; ++i) idle.push_back(std::make_unique<RawClient>(server.port()));
  Tally tally;
  flood(server, 4, tally);
  CHECK(tally.answers == 4);
}

}  // namespace cleave::test
