// SPDX-License-Identifier: Apache-2.0
#include "agent/compute_thread.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <stdexcept>
#include <string>

namespace cleave::agent {
namespace {

using Urgency = ComputeThread::Urgency;

}  // namespace

TEST_CASE("work is done in turn on the other thread, and what is urgent before what waits") {
  asio::io_context io(1);
  ComputeThread compute(/*own_thread=*/true);
  std::promise<void> has_begun;
  std::promise<void> may_end;
  std::string log;  // written by the compute thread, read when all is done
  std::thread::id where;
  const auto give = [&](char name, Urgency urgency) {
    asio::co_spawn(
        io,
        [&, name, urgency]() -> asio::awaitable<void> {
          co_await compute.run([&log, name] { log += name; }, urgency);
        },
        asio::detached);
  };
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        co_await compute.run([&] {
          where = std::this_thread::get_id();
          has_begun.set_value();
          may_end.get_future().wait();
          log += 'a';
        });
      },
      asio::detached);
  io.poll();
  has_begun.get_future().wait();
  give('b', Urgency::kInTurn);
  give('c', Urgency::kInTurn);
  give('d', Urgency::kFirst);
  io.poll();  // all are given, while the first is done
  may_end.set_value();
  io.run();
  CHECK(log == "adbc");
  CHECK(where != std::this_thread::get_id());
}

TEST_CASE("the caller's loop goes on meanwhile, and sees what the work wrote") {
  asio::io_context io(1);
  ComputeThread compute(true);
  std::promise<void> seen;
  int result = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        int value = 0;
        co_await compute.run([&] {
          seen.get_future().wait();
          value = 42;
        });
        result = value;
      },
      asio::detached);
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        seen.set_value();
        co_return;
      },
      asio::detached);
  io.run();
  CHECK(result == 42);
}

TEST_CASE("an exception is the caller's, with and without a thread") {
  for (const bool own_thread : {true, false}) {
    asio::io_context io(1);
    ComputeThread compute(own_thread);
    CHECK(compute.is_own_thread() == own_thread);
    std::string caught;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          try {
            co_await compute.run([] { throw std::runtime_error("no memory"); });
          } catch (const std::runtime_error& error) {
            caught = error.what();
          }
        },
        asio::detached);
    io.run();
    CHECK(caught == "no memory");
  }
}

TEST_CASE("many pieces of work from many callers") {
  asio::io_context io(1);
  ComputeThread compute(true);
  int sum = 0;  // the compute thread's
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          for (int j = 0; j < 50; ++j) co_await compute.run([&sum] { ++sum; });
        },
        asio::detached);
  }
  io.run();
  CHECK(sum == 1000);
}

TEST_CASE("what was not begun when it ends is not begun") {
  std::atomic<int> begun{0};
  {
    asio::io_context io(1);
    ComputeThread compute(true);
    std::promise<void> may_end;
    for (int i = 0; i < 3; ++i) {
      asio::co_spawn(
          io,
          [&]() -> asio::awaitable<void> {
            co_await compute.run([&] {
              if (begun++ == 0) may_end.get_future().wait();
            });
          },
          asio::detached);
    }
    io.poll();
    while (begun == 0) std::this_thread::yield();
    may_end.set_value();
  }
  CHECK(begun >= 1);
  CHECK(begun <= 3);
}

}  // namespace cleave::agent
