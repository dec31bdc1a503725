// SPDX-License-Identifier: Apache-2.0
//
// The pool alone: bounded, and every job it took is done exactly once.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <new>
#include <utility>

#include "server/tail_pool.h"
#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

std::unique_ptr<server::TailJob> make_job(const server::LoadedModel& model,
                                          std::atomic<int>& done) {
  auto job = std::make_unique<server::TailJob>();
  job->model = &model;
  job->codec = fbs::Codec::Raw;
  job->cut = 0;
  job->attachment_bytes = model.variants[0].cuts[0].boundary_bytes;
  auto payload =
      server::PayloadPool::create(job->attachment_bytes)->take({&job->attachment_bytes, 1});
  REQUIRE(payload.has_value());
  job->payload = std::move(*payload);
  std::fill_n(job->payload.buffers()[0].f32(), job->attachment_bytes / 4, 0.25F);
  job->arrived = server::Clock::now();
  job->done = [&done](std::unique_ptr<server::TailJob> finished) {
    if (finished->error == fbs::ErrorCode::None && !finished->scores.empty()) ++done;
  };
  return job;
}

}  // namespace

TEST_CASE("what the pool takes is done once, also when it stops at once") {
  ServerThread models(all_ops_model().build());
  server::ServerOptions options;
  options.workers = 3;
  options.queue_capacity = 16;
  std::atomic<int> done{0};
  int taken = 0, refused = 0;
  {
    server::TailPool pool(options);
    REQUIRE(pool.start().is_ok());
    for (int i = 0; i < 200; ++i) {
      auto job = make_job(models.model(), done);
      const bool accepted = pool.try_submit(job);
      accepted ? ++taken : ++refused;
      CHECK((job == nullptr) == accepted);
    }
    pool.stop();
    auto late = make_job(models.model(), done);
    CHECK_FALSE(pool.try_submit(late));
    CHECK(late != nullptr);
  }
  CHECK(done == taken);
  CHECK(taken + refused == 200);
  CHECK(taken >= 16);
}

TEST_CASE("a full queue refuses, and says how long to wait") {
  ServerThread models(all_ops_model().build());
  server::ServerOptions options;
  options.workers = 1;
  options.queue_capacity = 2;
  server::TailPool pool(options);
  REQUIRE(pool.start().is_ok());
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> started;
  std::atomic<int> done{0};
  auto blocker = make_job(models.model(), done);
  blocker->done = [&started, released](std::unique_ptr<server::TailJob>) {
    started.set_value();
    released.wait();
  };
  REQUIRE(pool.try_submit(blocker));
  started.get_future().wait();  // the only worker is held in `done`
  for (int i = 0; i < 2; ++i) {
    auto job = make_job(models.model(), done);
    CHECK(pool.try_submit(job));
  }
  auto one_too_many = make_job(models.model(), done);
  CHECK_FALSE(pool.try_submit(one_too_many));
  CHECK(pool.retry_after_ms() >= 10);
  release.set_value();
  pool.stop();
  CHECK(done == 2);
}

TEST_CASE("abandoned jobs are dropped, and one whose time is used up is not computed") {
  ServerThread models(all_ops_model().build());
  server::ServerOptions options;
  options.queue_capacity = 16;
  std::atomic<int> done{0};
  server::TailPool pool(options);
  for (int i = 0; i < 16; ++i) {
    auto job = make_job(models.model(), done);
    REQUIRE(pool.try_submit(job));  // no worker runs yet
  }
  pool.abandon();
  CHECK(done == 0);

  server::TailPool second(options);
  auto job = make_job(models.model(), done);
  job->deadline = server::Clock::now();
  std::promise<fbs::ErrorCode> ended;
  job->done = [&](std::unique_ptr<server::TailJob> finished) { ended.set_value(finished->error); };
  REQUIRE(second.start().is_ok());
  REQUIRE(second.try_submit(job));
  CHECK(ended.get_future().get() == fbs::ErrorCode::DeadlineExceeded);
}

TEST_CASE("a queued job is withdrawn by its ticket, or given more time") {
  ServerThread models(all_ops_model().build());
  server::TailPool pool({});
  std::atomic<int> done{0};
  for (const std::uint64_t ticket : {7, 8, 9, 10}) {
    auto job = make_job(models.model(), done);
    job->ticket = ticket;
    job->deadline = server::Clock::now();
    REQUIRE(pool.try_submit(job));  // no worker runs yet
  }
  const auto withdrawn = pool.withdraw(8);
  REQUIRE(withdrawn != nullptr);
  CHECK(withdrawn->ticket == 8);
  CHECK(pool.withdraw(8) == nullptr);
  CHECK(pool.withdraw(99) == nullptr);
  pool.extend_deadline(7, std::nullopt);
  pool.extend_deadline(9, server::Clock::now() + std::chrono::hours(1));
  pool.extend_deadline(9, server::Clock::now());  // never less
  REQUIRE(pool.start().is_ok());
  pool.stop();
  CHECK(done == 2);  // not 10: its time was used up
}

TEST_CASE("a job that cannot be handed back at first is handed back later, or dropped at the end") {
  ServerThread models(all_ops_model().build());
  std::atomic<int> done{0}, tries{0};
  server::TailPool pool({});
  REQUIRE(pool.start().is_ok());
  auto job = make_job(models.model(), done);
  job->done = [&, take = job->done](std::unique_ptr<server::TailJob>&& finished) {
    if (++tries <= 2) throw std::bad_alloc();
    take(std::move(finished));
  };
  REQUIRE(pool.try_submit(job));
  pool.stop();
  CHECK(tries == 3);
  CHECK(done == 1);

  server::TailPool second({});
  REQUIRE(second.start().is_ok());
  auto never = make_job(models.model(), done);
  std::promise<void> tried;
  never->done = [&, told = false](std::unique_ptr<server::TailJob>&&) mutable {
    if (!std::exchange(told, true)) tried.set_value();
    throw std::bad_alloc();
  };
  REQUIRE(second.try_submit(never));
  tried.get_future().wait();
  second.abandon();
  CHECK(done == 1);
}

TEST_CASE("a worker that cannot hand its job back keeps no other from being woken") {
  server::ServerOptions options;
  options.workers = 2;
  server::TailPool pool(options);
  const auto idle_job = [] {
    auto job = std::make_unique<server::TailJob>();
    job->deadline = server::Clock::now();  // nothing to compute
    return job;
  };
  std::atomic<bool> room{false};
  std::promise<void> tried;
  auto stuck = idle_job();
  stuck->done = [&, told = false](std::unique_ptr<server::TailJob>&& finished) mutable {
    if (!std::exchange(told, true)) tried.set_value();
    if (!room) throw std::bad_alloc();
    finished.reset();
  };
  REQUIRE(pool.start().is_ok());
  REQUIRE(pool.try_submit(stuck));
  tried.get_future().wait();
  bool woken = true;
  for (int i = 0; i < 2'000 && woken; ++i) {
    auto job = idle_job();
    const auto ended = std::make_shared<std::promise<void>>();
    auto end = ended->get_future();
    job->done = [ended](std::unique_ptr<server::TailJob>&&) { ended->set_value(); };
    REQUIRE(pool.try_submit(job));
    woken = end.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  }
  CHECK(woken);
  room = true;
  pool.stop();
}

}  // namespace cleave::test
