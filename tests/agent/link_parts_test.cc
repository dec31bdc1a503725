// SPDX-License-Identifier: Apache-2.0
//
// The parts of the link that need no socket.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/deadline.h"
#include "agent/gather.h"
#include "agent/liveness.h"
#include "agent/name_lines.h"
#include "agent/pending_requests.h"
#include "agent/picture_queue.h"
#include "agent/turns.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using std::chrono::milliseconds;
using Names = std::vector<std::string>;

template <typename... Coroutines>
void run_together(asio::io_context& io, Coroutines... coroutines) {
  (asio::co_spawn(io, coroutines, asio::detached), ...);
  io.run();
}

// Puts the names one after the other, then takes what is left of them.
Names take_after(QueueFull full, const Names& names, Names& dropped) {
  asio::io_context io;
  PictureQueue queue(io.get_executor(), 2, full,
                     [&](const std::string& name) { dropped.push_back(name); });
  Names taken;
  run_together(
      io,
      [&]() -> asio::awaitable<void> {
        for (const std::string& name : names) (void)co_await queue.put(name);
        queue.finish();
      },
      [&]() -> asio::awaitable<void> {
        for (;;) {
          const auto name = co_await queue.take();
          if (!name) break;
          taken.push_back(*name);
        }
      });
  CHECK(queue.dropped() == dropped.size());
  return taken;
}

Names lines_of(const std::string& content, Status& status) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "names";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  lseek(file, 0, SEEK_SET);
  asio::io_context io;
  PictureQueue queue(io.get_executor(), 1, QueueFull::kBlock, {});
  NameLines lines(io.get_executor(), file);
  Names taken;
  run_together(
      io, [&]() -> asio::awaitable<void> { status = co_await lines.read_into(queue); },
      [&]() -> asio::awaitable<void> {
        for (;;) {
          const auto name = co_await queue.take();
          if (!name) break;
          taken.push_back(*name);
        }
      });
  close(file);
  return taken;
}

}  // namespace

TEST_CASE("a peer is asked after a silence, and gone when it stays silent") {
  using Step = Liveness::Step;
  Liveness liveness(milliseconds(300), milliseconds(600));
  const Clock::time_point start{std::chrono::seconds(100)};
  const auto at = [&](int ms) { return start + milliseconds(ms); };
  liveness.begin(start, 1000, 50);
  CHECK(liveness.step(at(299)) == Step::kWait);
  CHECK(liveness.step(at(300)) == Step::kPing);
  liveness.pinged(at(310), 70);
  CHECK(liveness.step(at(909)) == Step::kWait);
  SUBCASE("an answer is life") {
    liveness.observe(at(900), 1001, 50);
    CHECK(liveness.step(at(1199)) == Step::kWait);
    CHECK(liveness.step(at(1200)) == Step::kPing);
  }
  SUBCASE("as long as what is ahead of the Ping moves, it may be on its way") {
    for (int i = 1; i <= 20; ++i) {
      liveness.observe(at(310 + 500 * i), 1000, 50 + static_cast<std::uint64_t>(i));
      CHECK(liveness.step(at(310 + 500 * i + 499)) == Step::kWait);
    }
    CHECK(liveness.step(at(310 + 500 * 20 + 600)) == Step::kGone);
  }
  SUBCASE("a system that takes everything does not make a program answer") {
    liveness.observe(at(320), 1000, 70);  // the Ping itself
    liveness.observe(at(919), 1000, 70);
    CHECK(liveness.step(at(920)) == Step::kGone);
  }
  SUBCASE("silence") { CHECK(liveness.step(at(910)) == Step::kGone); }
  SUBCASE("another Ping, as heartbeats send them, gives a silent peer no more time") {
    liveness.observe(at(320), 1000, 70);
    liveness.pinged(at(800), 90);
    liveness.observe(at(810), 1000, 90);  // nor what its system takes of what is behind the first
    CHECK(liveness.step(at(919)) == Step::kWait);
    CHECK(liveness.step(at(920)) == Step::kGone);
  }
}

TEST_CASE("a deadline that has passed and ends before it is heard closes nothing") {
  boost::asio::io_context io(1);
  tcp::socket socket(io, tcp::v4());
  auto deadline = std::make_unique<Deadline>(socket);
  asio::steady_timer end(io, Clock::now() - std::chrono::seconds(2));
  end.async_wait([&](const error_code&) { deadline.reset(); });
  deadline->arm(Clock::now() - std::chrono::seconds(1));
  io.run();
  CHECK(deadline == nullptr);
  CHECK(socket.is_open());

  deadline = std::make_unique<Deadline>(socket);
  deadline->arm(Clock::now());
  io.restart();
  io.run();
  CHECK(deadline->passed());
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("a frame in pieces is sent as one, however much the system takes at a time") {
  std::vector<std::byte> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 % 251);
  const std::span all(bytes);
  for (const std::size_t step : {1U, 7U, 100U, 333U, 1000U}) {
    Gather gather;
    gather.add(all.first(24));
    gather.add({});
    gather.add(all.subspan(24, 476));
    gather.add(all.subspan(500));
    std::vector<std::byte> sent;
    while (gather.bytes_left() > 0) {
      Gather::Pieces pieces;
      const std::size_t used = gather.next(step, pieces);
      std::size_t count = 0;
      for (std::size_t i = 0; i < used; ++i) {
        const auto* data = static_cast<const std::byte*>(pieces[i].data());
        sent.insert(sent.end(), data, data + pieces[i].size());
        count += pieces[i].size();
      }
      REQUIRE(count > 0);
      REQUIRE(count <= step);
      gather.advance(count);
    }
    CHECK(sent == bytes);
  }
}

TEST_CASE("more pieces than the system takes at once come later") {
  const std::vector<std::byte> byte(1);
  Gather gather;
  for (int i = 0; i < 20; ++i) gather.add(byte);
  Gather::Pieces pieces;
  CHECK(gather.next(100, pieces) == Gather::kMostPieces);
}

TEST_CASE("places are given in the order in which they were asked for") {
  asio::io_context io;
  Turns turns(io.get_executor(), 2);
  std::string log;
  const auto visit = [&](char name, milliseconds latest) -> asio::awaitable<void> {
    const bool has_place = co_await turns.enter(Clock::now() + latest);
    log += has_place ? name : '-';
    if (has_place && name != 'b') co_return;  // they stay
    if (has_place) turns.leave();
  };
  constexpr milliseconds kLong{60'000};
  asio::co_spawn(io, visit('a', kLong), asio::detached);
  asio::co_spawn(io, visit('b', kLong), asio::detached);
  asio::co_spawn(io, visit('c', kLong), asio::detached);
  SUBCASE("one whose time is over has none") {
    asio::co_spawn(io, visit('d', milliseconds(20)), asio::detached);
    io.run();
    CHECK(log == "abc-");
    CHECK(turns.waiting() == 0);
  }
  SUBCASE("closed, all know") {
    asio::co_spawn(io, visit('d', kLong), asio::detached);
    asio::co_spawn(io, visit('e', kLong), asio::detached);
    io.poll();
    CHECK(log == "abc");
    turns.close();
    io.restart();
    io.run();
    CHECK(log == "abc--");
  }
}

TEST_CASE("requests by id, and those that were given up") {
  asio::io_context io;
  PendingRequests pending;
  PendingRequest one(io.get_executor(), 1);
  PendingRequest two(io.get_executor(), 2);
  PendingRequest other_one(io.get_executor(), 1);
  CHECK(pending.add(one));
  CHECK(pending.add(two));
  CHECK_FALSE(pending.add(other_one));
  CHECK(pending.find(2) == &two);
  CHECK(pending.find(3) == nullptr);
  two.end(Status::ok());
  CHECK(pending.find(2) == nullptr);  // a second answer is of nothing
  pending.end_all({StatusCode::kUnavailable, "gone"});
  CHECK(one.status.code() == StatusCode::kUnavailable);
  CHECK(two.status.is_ok());
  pending.remove(one);
  pending.give_up(1);
  CHECK(pending.take_given_up(1));
  CHECK_FALSE(pending.take_given_up(1));
  pending.give_up(7);
  for (std::uint64_t id = 100; id < 100 + PendingRequests::kMostGivenUp; ++id) pending.give_up(id);
  CHECK_FALSE(pending.take_given_up(7));  // forgotten
}

TEST_CASE("a full queue holds up whoever brings pictures, or drops one") {
  const Names names{"a", "b", "c", "d", "e"};
  Names dropped;
  SUBCASE("block") {
    CHECK(take_after(QueueFull::kBlock, names, dropped) == names);
    CHECK(dropped.empty());
  }
  SUBCASE("drop-oldest") {
    CHECK(take_after(QueueFull::kDropOldest, names, dropped) == Names{"d", "e"});
    CHECK(dropped == Names{"a", "b", "c"});
  }
  SUBCASE("drop-newest") {
    CHECK(take_after(QueueFull::kDropNewest, names, dropped) == Names{"a", "b"});
    CHECK(dropped == Names{"c", "d", "e"});
  }
}

TEST_CASE("a queue that is closed gives nothing and takes nothing") {
  asio::io_context io;
  PictureQueue queue(io.get_executor(), 1, QueueFull::kBlock, {});
  std::string log;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        for (const char* name : {"a", "b"}) {
          const bool taken = co_await queue.put(name);
          log += taken ? 'p' : '-';
        }
      },
      asio::detached);
  io.poll();
  queue.close();
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        const auto name = co_await queue.take();
        log += name ? 't' : '-';
      },
      asio::detached);
  io.restart();
  io.run();
  CHECK(log == "p--");
}

TEST_CASE("names come one a line, and a line without an end is one") {
  Status status;
  CHECK(lines_of("a.jpg\n\nsome folder/b c.png\nlast", status) ==
        Names{"a.jpg", "some folder/b c.png", "last"});
  CHECK(status.is_ok());
  CHECK(lines_of("", status).empty());
  CHECK(status.is_ok());
  CHECK(lines_of("first\n" + std::string(10'000, 'x') + "\nafter\n", status) == Names{"first"});
  CHECK(status.code() == StatusCode::kOutOfRange);
}

}  // namespace cleave::agent
