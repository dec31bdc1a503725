// SPDX-License-Identifier: Apache-2.0
//
// Many agents at once, more requests than the queue holds, and a shutdown under load: every request
// gets exactly one reply.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/server/raw_client.h"
#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

struct Tally {
  std::atomic<unsigned> answers{0}, busy{0}, refused{0}, other{0};
};

// Counts `reply`; gives the request that it replies to, or 0 when it is none.
std::uint64_t count_reply(const fbs::Envelope& reply, Tally& tally) {
  if (const fbs::Answer* answer = reply.message_as_Answer()) {
    ++tally.answers;
    return answer->request_id();
  }
  const fbs::Error* error = reply.message_as_Error();
  if (error == nullptr) return 0;
  if (error->code() == fbs::ErrorCode::Busy) {
    ++tally.busy;
  } else if (error->code() == fbs::ErrorCode::ShuttingDown) {
    ++tally.refused;
  } else {
    ++tally.other;
  }
  return error->request_id();
}

// One agent that has shaken hands, and its requests without a reply.
class Agent {
 public:
  explicit Agent(const ServerThread& server)
      : client_(server.port()),
        tensors_(server.model().variants[0].cuts[1].boundary_bytes / sizeof(float), 0.5F) {
    REQUIRE(client_.send(
        make_hello({.device = "flood", .model_identity = server.model().file->identity()})));
    const fbs::Envelope* reply = client_.receive();
    REQUIRE(reply != nullptr);
    REQUIRE(reply->message_type() == fbs::Message::Welcome);
  }

  [[nodiscard]] std::size_t open() const { return open_.size(); }

  bool ask() {
    const std::uint64_t id = ++last_id_;
    if (!client_.send(make_request({.request_id = id, .cut = 1}, tensors_.size() * 4)) ||
        !client_.send(std::as_bytes(std::span(tensors_)))) {
      return false;
    }
    open_.insert(id);
    return true;
  }

  // The next message, counted; nothing when the server closed.
  const fbs::Envelope* receive(Tally& tally) {
    const fbs::Envelope* reply = client_.receive();
    if (reply == nullptr) return nullptr;
    const std::uint64_t id = count_reply(*reply, tally);
    if (id != 0) CHECK_MESSAGE(open_.erase(id) == 1, "a second reply to request " << id);
    return reply;
  }

 private:
  RawClient client_;
  std::vector<float> tensors_;
  std::set<std::uint64_t> open_;
  std::uint64_t last_id_ = 0;
};

// Sends `count` requests without waiting, then reads until each has its reply or the server closed.
void flood(Agent& agent, unsigned count, Tally& tally) {
  for (unsigned i = 0; i < count; ++i) {
    if (!agent.ask()) break;
  }
  while (agent.open() > 0) {
    if (agent.receive(tally) == nullptr) return;
  }
}

// Keeps as many requests open as are allowed until Goodbye, then reads on to the end; true when
// there was a Goodbye.
bool ask_until_goodbye(Agent& agent, Tally& tally) {
  bool goodbye = false;
  for (;;) {
    while (!goodbye && agent.open() < server::ServerOptions{}.max_inflight) {
      if (!agent.ask()) break;
    }
    const fbs::Envelope* reply = agent.receive(tally);
    if (reply == nullptr) return goodbye;
    if (reply->message_type() == fbs::Message::Goodbye) goodbye = true;
  }
}

}  // namespace

TEST_CASE("each of many requests gets exactly one reply: an answer or Busy") {
  ServerThread server(all_ops_model().build(), [](server::ServerOptions& options) {
    options.workers = 2;
    options.queue_capacity = 3;
  });
  Tally tally;
  std::vector<std::unique_ptr<Agent>> agents;
  for (int i = 0; i < 12; ++i) agents.push_back(std::make_unique<Agent>(server));
  std::vector<std::thread> clients;
  for (const auto& agent : agents) clients.emplace_back([&] { flood(*agent, 20, tally); });
  for (std::thread& client : clients) client.join();
  CHECK(tally.answers + tally.busy == 12 * 20);
  CHECK(tally.answers > 0);
  CHECK(tally.other == 0);
  const server::ServerStats stats = server.stop();
  CHECK(stats.requests == 12 * 20);
  CHECK(stats.answers == tally.answers);
  CHECK(stats.busy == tally.busy);
}

TEST_CASE("a shutdown under load: every answer computed arrives, then Goodbye and the end") {
  ServerThread server(all_ops_model().build());
  Tally tally;
  std::atomic<unsigned> goodbyes{0};
  // All are greeted before the first asks: who comes later would be told ShuttingDown.
  std::vector<std::unique_ptr<Agent>> agents;
  for (int i = 0; i < 6; ++i) agents.push_back(std::make_unique<Agent>(server));
  std::vector<std::thread> clients;
  for (const auto& agent : agents) {
    clients.emplace_back([&] {
      if (ask_until_goodbye(*agent, tally)) ++goodbyes;
    });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (tally.answers < 100 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const server::ServerStats stats = server.stop();
  for (std::thread& client : clients) client.join();
  CHECK(tally.answers >= 100);
  CHECK(tally.answers == stats.answers);
  CHECK(goodbyes == 6);
  CHECK(tally.busy == 0);
  CHECK(tally.other == 0);
}

TEST_CASE("hundreds of idle agents do not keep one from being answered") {
  ServerThread server(all_ops_model().build());
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(std::make_unique<RawClient>(server.port()));
    REQUIRE(idle.back()->send(
        make_hello({.device = "idle", .model_identity = server.model().file->identity()})));
    const fbs::Envelope* reply = idle.back()->receive();
    REQUIRE(reply != nullptr);
    REQUIRE(reply->message_type() == fbs::Message::Welcome);
  }
  Tally tally;
  Agent agent(server);
  flood(agent, 4, tally);
  CHECK(tally.answers == 4);
  CHECK(server.stop().connections == 301);
}

}  // namespace cleave::test
