// SPDX-License-Identifier: Apache-2.0
//
// The desk between sessions and workers, without sockets: who is told what, and when.
#include "server/request_desk.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

using server::RequestDesk;
using server::RequestKey;
using Known = RequestDesk::Known;

class Taker : public server::ReplyTaker {
 public:
  void take_reply(std::uint64_t ticket, const server::Reply& reply) override {
    tickets.push_back(ticket);
    errors.push_back(reply.error);
    scores.assign(reply.scores.begin(), reply.scores.end());
  }
  std::vector<std::uint64_t> tickets;
  std::vector<fbs::ErrorCode> errors;
  std::vector<float> scores;
};

server::ServerOptions with_queue(std::size_t capacity) {
  server::ServerOptions options;
  options.queue_capacity = capacity;
  return options;
}

// A desk whose workers start when the test says so, and whose results arrive when it says so.
struct Desk {
  ServerThread models{all_ops_model().build()};
  server::ServerOptions options;
  server::asio::io_context io{1};
  server::ServerStats stats;
  std::shared_ptr<server::PayloadPool> payloads = server::PayloadPool::create(1 << 20);
  server::TailPool pool;
  RequestDesk desk;
  server::RequestShape shape{.cut = 0, .attachment_bytes = 1};
  RequestKey key{"gate", 7};

  explicit Desk(std::size_t queue = 16)
      : options(with_queue(queue)),
        pool(options),
        desk(io.get_executor(), pool, stats, options.answers) {}

  std::unique_ptr<server::TailJob> job() {
    auto job = std::make_unique<server::TailJob>();
    job->model = &models.model();
    job->attachment_bytes = models.model().variants[0].cuts[0].boundary_bytes;
    job->payload = std::move(*payloads->take({&job->attachment_bytes, 1}));
    std::fill_n(job->payload.buffers()[0].f32(), job->attachment_bytes / 4, 0.25F);
    job->arrived = server::Clock::now();
    job->sample = 42;
    return job;
  }
  std::optional<std::uint64_t> submit(const std::shared_ptr<Taker>& taker, bool keyed = true) {
    auto next = job();
    std::optional<RequestKey> name;
    if (keyed) name = key;
    return desk.submit(next, {name, shape, taker});
  }
  Known known(const RequestKey& of) { return desk.look_up(of, shape, server::Clock::now()).known; }
  // Everything queued is computed, and the results wait for deliver().
  void compute() {
    REQUIRE(pool.start().is_ok());
    pool.stop();
  }
  void deliver() {
    io.restart();
    io.poll();
  }
};

}  // namespace

TEST_CASE("a request is unknown, under way, answered; its shape is part of it") {
  Desk d;
  const auto taker = std::make_shared<Taker>();
  CHECK(d.known(d.key) == Known::kNo);
  const auto ticket = d.submit(taker);
  REQUIRE(ticket.has_value());
  auto found = d.desk.look_up(d.key, d.shape, server::Clock::now());
  CHECK(found.known == Known::kUnderWay);
  CHECK(found.ticket == *ticket);
  CHECK(found.sample == 42);
  server::RequestShape other = d.shape;
  other.cut = 3;
  CHECK(d.desk.look_up(d.key, other, server::Clock::now()).known == Known::kOther);
  d.compute();
  CHECK(d.known(d.key) == Known::kUnderWay);
  d.deliver();
  CHECK(taker->tickets == std::vector<std::uint64_t>{*ticket});
  CHECK_FALSE(taker->scores.empty());
  found = d.desk.look_up(d.key, d.shape, server::Clock::now());
  REQUIRE(found.known == Known::kAnswered);
  CHECK(found.answer->scores == taker->scores);
  CHECK(found.sample == 42);
  CHECK(d.desk.look_up(d.key, other, server::Clock::now()).known == Known::kOther);
  CHECK(d.desk.under_way() == 0);
  CHECK(d.payloads->held_bytes() == 0);
}

TEST_CASE("all who joined are told; one who left is not") {
  Desk d;
  const auto first = std::make_shared<Taker>(), second = std::make_shared<Taker>();
  const auto ticket = d.submit(first);
  d.desk.join(*ticket, second, std::nullopt);
  d.desk.join(*ticket, second, std::nullopt);
  CHECK_FALSE(d.desk.leave(*ticket, *first));
  CHECK_FALSE(d.desk.leave(*ticket, *second));  // one of its two
  CHECK_FALSE(d.desk.leave(*ticket, Taker()));  // was never there
  d.compute();
  d.deliver();
  CHECK(first->tickets.empty());
  CHECK(second->tickets.size() == 1);
  CHECK(d.stats.withdrawn == 0);
}

TEST_CASE("the last to leave takes the job out of the queue, with its memory and its name") {
  Desk d;
  const auto taker = std::make_shared<Taker>();
  const auto ticket = d.submit(taker);
  CHECK(d.payloads->held_bytes() > 0);
  CHECK(d.desk.leave(*ticket, *taker));
  CHECK(d.payloads->held_bytes() == 0);
  CHECK(d.desk.under_way() == 0);
  CHECK(d.known(d.key) == Known::kNo);
  CHECK(d.stats.withdrawn == 1);
  d.compute();
  d.deliver();
  CHECK(taker->tickets.empty());
}

TEST_CASE("what a worker has begun is finished for who asks again, if it has a name") {
  Desk d;
  const auto named = std::make_shared<Taker>(), nameless = std::make_shared<Taker>();
  const auto one = d.submit(named), two = d.submit(nameless, false);
  d.compute();  // done, and not yet delivered
  CHECK_FALSE(d.desk.leave(*one, *named));
  CHECK_FALSE(d.desk.leave(*two, *nameless));
  d.deliver();
  CHECK(named->tickets.empty());
  CHECK(nameless->tickets.empty());
  CHECK(d.stats.unsent == 2);
  CHECK(d.known(d.key) == Known::kAnswered);
  CHECK(d.desk.answers().entries() == 1);
}

TEST_CASE("an error is told and not kept") {
  Desk d;
  const auto taker = std::make_shared<Taker>();
  auto job = d.job();
  job->deadline = server::Clock::now();
  REQUIRE(d.desk.submit(job, {d.key, d.shape, taker}).has_value());
  d.compute();
  d.deliver();
  CHECK(taker->errors == std::vector{fbs::ErrorCode::DeadlineExceeded});
  CHECK(d.known(d.key) == Known::kNo);
}

TEST_CASE("a full queue leaves the job with its owner, and nothing behind") {
  Desk d(1);
  const auto taker = std::make_shared<Taker>();
  REQUIRE(d.submit(taker, false).has_value());
  auto job = d.job();
  CHECK_FALSE(d.desk.submit(job, {d.key, d.shape, taker}).has_value());
  CHECK(job != nullptr);
  CHECK(d.known(d.key) == Known::kNo);
  CHECK(d.desk.under_way() == 1);
  d.compute();
  d.deliver();
  CHECK(taker->tickets.size() == 1);
}

}  // namespace cleave::test
