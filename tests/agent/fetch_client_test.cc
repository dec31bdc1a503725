// SPDX-License-Identifier: Apache-2.0
//
// Fetching from servers that give what was asked for, or something else.
#include "agent/fetch_client.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "agent/content_writer.h"
#include "agent/folder_lock.h"
#include "agent/model_fetch.h"
#include "schemas/model_folder.h"
#include "schemas/protocol.h"
#include "tests/agent/scripted_server.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;

constexpr Sha256Digest kWanted{7, 7, 7};

ConnectionOptions fetch_options_for(std::uint16_t port) {
  ConnectionOptions options;
  options.server = {"127.0.0.1", port};
  return options;
}

FrameBytes welcome(std::uint64_t features = kFeatureFetch) {
  return make_welcome({.server = "scripted", .session_id = 1, .features = features});
}

FrameBytes piece(std::uint64_t fetch_id, std::uint64_t total_bytes, std::size_t bytes) {
  FrameBytes frame = make_piece(fetch_id, total_bytes, static_cast<std::uint32_t>(bytes));
  frame.resize(frame.size() + bytes, std::byte{9});
  return frame;
}

struct Fetched {
  Status status;
  std::size_t bytes = 0;
};

// Fetches 1000 bytes at most, told to be `total_bytes`, from a server that answers each Fetch so.
Fetched fetch(const std::function<FrameBytes(const fbs::Fetch&)>& answer,
              std::uint64_t total_bytes = 0) {
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() == nullptr || !peer.send(welcome())) return;
    for (;;) {
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr || message->message_as_Fetch() == nullptr) return;
      if (!peer.send(answer(*message->message_as_Fetch()))) return;
    }
  });
  boost::asio::io_context io;
  FetchClient client(io.get_executor(), fetch_options_for(server.port()), "");
  Fetched outcome;
  boost::asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        outcome.status = co_await client.fetch(
            {.sha256 = kWanted, .total_bytes = total_bytes, .max_total_bytes = 1000},
            [&](std::uint64_t, std::span<const std::byte> bytes) {
              outcome.bytes += bytes.size();
              return Status::ok();
            });
        co_await client.close();
      },
      [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  io.run();
  return outcome;
}

void check_refused(const Fetched& outcome, const char* expected) {
  CAPTURE(expected);
  CAPTURE(outcome.status.message());
  CHECK(outcome.status.code() == StatusCode::kCorrupt);
  CHECK(outcome.status.message().find(expected) != std::string::npos);
  CHECK(outcome.bytes == 0);
}

}  // namespace

TEST_CASE("what was asked for is handed on") {
  const Fetched unknown = fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 600, 600); });
  CHECK_MESSAGE(unknown.status.is_ok(), unknown.status.message());
  CHECK(unknown.bytes == 600);
  const Fetched known =
      fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 800, f.bytes()); }, 800);
  CHECK_MESSAGE(known.status.is_ok(), known.status.message());
  CHECK(known.bytes == 800);
}

TEST_CASE("a piece that is not the one asked for ends the connection, and nothing of it is kept") {
  check_refused(fetch([](const fbs::Fetch& f) { return piece(f.fetch_id() + 1, 600, 600); }),
                "not asked for next");
  check_refused(fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 1001, 1001); }),
                "too long a whole");
  check_refused(fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 600, 599); }),
                "another length than asked for");
  check_refused(fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 600, 601); }),
                "another length than asked for");
  check_refused(fetch([](const fbs::Fetch& f) { return piece(f.fetch_id(), 700, 700); }, 600),
                "another length");
  check_refused(fetch([](const fbs::Fetch&) { return make_pong(1); }), "unexpected message");
  const Fetched large =
      fetch([](const fbs::Fetch& f) { return make_piece(f.fetch_id(), 600, kMaxPieceBytes + 1); });
  CHECK(large.status.code() == StatusCode::kOutOfRange);  // refused before it is received
  CHECK(large.bytes == 0);
}

TEST_CASE("a server that asks and asks, and gives nothing, does not win time by it") {
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() == nullptr || !peer.send(welcome())) return;
    if (peer.receive() == nullptr) return;
    for (std::uint64_t nonce = 0; peer.send(make_ping(nonce)); ++nonce) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  boost::asio::io_context io;
  ConnectionOptions options = fetch_options_for(server.port());
  options.stall_timeout = std::chrono::milliseconds(500);
  FetchClient client(io.get_executor(), options, "");
  Status status;
  const PieceSink sink = [](std::uint64_t, std::span<const std::byte>) { return Status::ok(); };
  boost::asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        FetchWanted wanted;
        wanted.sha256 = kWanted;
        wanted.max_total_bytes = 1000;
        status = co_await client.fetch(wanted, sink);
      },
      [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  CHECK(io.run_for(std::chrono::seconds(30)) > 0);
  CHECK(io.stopped());
  CHECK(status.code() == StatusCode::kDeadlineExceeded);
}

TEST_CASE("told to wait, it goes on with the same connection where it was") {
  constexpr std::size_t kPieces = 40;
  constexpr std::size_t kPieceBytes = 64 << 10;
  constexpr std::size_t kBytes = kPieces * kPieceBytes - 1;
  std::size_t fetches = 0, sent = 0;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() == nullptr || !peer.send(welcome())) return;
    while (const fbs::Envelope* message = peer.receive()) {
      const fbs::Fetch* asked = message->message_as_Fetch();
      if (asked == nullptr) return;
      if (++fetches % 5 == 0) {
        peer.send(make_error(asked->fetch_id(), fbs::ErrorCode::Busy, "too much", 1));
        continue;
      }
      FrameBytes frame = piece(asked->fetch_id(), kBytes, asked->bytes());
      std::fill(frame.end() - asked->bytes(), frame.end(),
                static_cast<std::byte>(asked->offset() / kPieceBytes));
      sent += asked->bytes();
      peer.send(frame);
    }
  });
  boost::asio::io_context io;
  FetchClient client(io.get_executor(), fetch_options_for(server.port()), "");
  std::vector<std::byte> got;
  std::size_t refusals = 0;
  const auto fetch_all = [&]() -> asio::awaitable<void> {
    for (Status status(StatusCode::kUnavailable, ""); !status.is_ok();) {
      status = co_await client.fetch({.sha256 = kWanted,
                                      .offset = got.size(),
                                      .total_bytes = kBytes,
                                      .max_total_bytes = kBytes},
                                     [&](std::uint64_t, std::span<const std::byte> bytes) {
                                       got.insert(got.end(), bytes.begin(), bytes.end());
                                       return Status::ok();
                                     });
      if (status.is_ok()) break;
      CHECK_MESSAGE(status.code() == StatusCode::kResourceExhausted, status.message());
      CHECK(client.retry_after() == std::chrono::milliseconds(1));
      if (++refusals == 100) break;
    }
    co_await client.close();
  };
  boost::asio::co_spawn(io, fetch_all(),
                        [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  io.run();
  REQUIRE(got.size() == kBytes);
  for (std::size_t i = 0; i < kBytes; i += kPieceBytes / 2) {
    CHECK(got[i] == static_cast<std::byte>(i / kPieceBytes));
  }
  CHECK(refusals >= kPieces / 5);
  CHECK(client.skipped_bytes() > 0);
  CHECK(got.size() + client.skipped_bytes() == sent);
  CHECK(server.connections() == 1);
}

TEST_CASE("a server that is busy for long, or answers out of turn, is left") {
  std::uint32_t busy_ms = 1;
  SUBCASE("in turn, but for longer than servers keep silent connections") { busy_ms = 30'000; }
  SUBCASE("another fetch than the next behind the refusal") {}
  const bool in_turn = busy_ms > 1;
  // Asked for 16 pieces, and of the second connection for one.
  const ScriptedServer server([&](ScriptedPeer& peer, int number) {
    if (peer.receive() == nullptr || !peer.send(welcome())) return;
    const std::uint64_t more = number == 0 ? 15 : 0;
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i <= more; ++i) {
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr || message->message_as_Fetch() == nullptr) return;
      last = message->message_as_Fetch()->fetch_id();
    }
    peer.send(make_error(last - more, fbs::ErrorCode::Busy, "too much", busy_ms));
    for (std::uint64_t i = in_turn ? more : std::min<std::uint64_t>(more, 1); i > 0; --i) {
      peer.send(piece(last - i + 1, 1 << 20, 64 << 10));
    }
    (void)peer.receive();
  });
  boost::asio::io_context io;
  FetchClient client(io.get_executor(), fetch_options_for(server.port()), "");
  const auto fetch_twice = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      const Status status = co_await client.fetch(
          {.sha256 = kWanted, .total_bytes = 1 << 20, .max_total_bytes = 1 << 20},
          [](std::uint64_t, std::span<const std::byte>) { return Status::ok(); });
      CHECK(status.code() == StatusCode::kResourceExhausted);
      CHECK(client.retry_after() == std::chrono::milliseconds(busy_ms));
    }
    co_await client.close();
  };
  boost::asio::co_spawn(io, fetch_twice(),
                        [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  io.run();
  CHECK(server.connections() == 2);
}

TEST_CASE("what the server says of a fetch is said on") {
  const Fetched none = fetch([](const fbs::Fetch& f) {
    return make_error(f.fetch_id(), fbs::ErrorCode::NotFound, "nothing of that SHA-256");
  });
  CHECK(none.status.code() == StatusCode::kNotFound);
  CHECK(none.status.message().find("nothing of that SHA-256") != std::string::npos);
  const Fetched busy = fetch([](const fbs::Fetch& f) {
    return make_error(f.fetch_id(), fbs::ErrorCode::Busy, "later", 50);
  });
  CHECK(busy.status.code() == StatusCode::kResourceExhausted);
}

TEST_CASE("servers that are refused for good") {
  FrameBytes reply;
  std::string expected;
  SUBCASE("one that gives no models") {
    reply = welcome(0);
    expected = "does not give models";
  }
  SUBCASE("one that goes on in a version that was not offered") {
    reply = make_welcome({.server = "scripted",
                          .session_id = 1,
                          .features = kFeatureFetch,
                          .protocol_version = kProtocolVersion + 1});
    expected = "did not offer";
  }
  SUBCASE("one that speaks no version of ours") {
    reply = make_error(0, fbs::ErrorCode::VersionMismatch, "versions 7 to 9");
    expected = "versions 7 to 9";
  }
  SUBCASE("one that does not believe the device") {
    reply = make_error(0, fbs::ErrorCode::Unauthorized, "not believed");
    expected = "not believed";
  }
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() != nullptr) (void)peer.send(reply);
    (void)peer.receive();
  });
  boost::asio::io_context io;
  FetchClient client(io.get_executor(), fetch_options_for(server.port()), "");
  Status status;
  boost::asio::co_spawn(
      io, [&]() -> asio::awaitable<void> { status = co_await client.ensure_connected(); },
      [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  io.run();
  CHECK(status.code() == StatusCode::kMismatch);
  CAPTURE(status.message());
  CHECK(status.message().find(expected) != std::string::npos);
}

TEST_CASE(
    "bytes of another SHA-256 never get a name, and are asked for a bounded number of times") {
  int fetches = 0;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() == nullptr || !peer.send(welcome())) return;
    for (;;) {
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr || message->message_as_Fetch() == nullptr) return;
      ++fetches;
      if (!peer.send(piece(message->message_as_Fetch()->fetch_id(), 600, 600))) return;
    }
  });
  const test::TemporaryFolder folder;
  boost::asio::io_context io;
  FetchClient client(io.get_executor(), fetch_options_for(server.port()), "");
  const FetchOptions options{.folder = folder.path().string(), .hash_attempts = 3, .progress = {}};
  ModelFetch fetch(client, options);
  Status status;
  boost::asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        status = co_await fetch.fetch_header(kWanted);
        co_await client.close();
      },
      [](std::exception_ptr error) { REQUIRE(error == nullptr); });
  io.run();
  CHECK(status.code() == StatusCode::kCorrupt);
  CHECK(status.message().find("SHA-256") != std::string::npos);
  CHECK(fetches == 3);
  CHECK_FALSE(std::filesystem::exists(model_header_path(options.folder, kWanted)));
}

TEST_CASE("a part that was cut short goes on; one that is too long begins anew") {
  const test::TemporaryFolder folder;
  const std::string text = "twelve bytes";
  const auto bytes = std::as_bytes(std::span(text));
  const Sha256Digest digest = *sha256(bytes);
  const std::string path = model_segment_path(folder.path().string(), digest);
  {
    auto writer = ContentWriter::open(folder.path().string(), digest, bytes.size());
    REQUIRE(writer.is_ok());
    REQUIRE(writer->append(bytes.first(5)).is_ok());
  }
  auto resumed = ContentWriter::open(folder.path().string(), digest, bytes.size());
  REQUIRE(resumed.is_ok());
  CHECK(resumed->bytes() == 5);
  CHECK(resumed->append(bytes).code() == StatusCode::kCorrupt);
  REQUIRE(resumed->append(bytes.subspan(5)).is_ok());
  REQUIRE(resumed->verify().is_ok());
  REQUIRE(resumed->move_to(path).is_ok());
  CHECK(std::filesystem::file_size(path) == bytes.size());

  auto other = ContentWriter::open(folder.path().string(), kWanted, bytes.size());
  REQUIRE(other.is_ok());
  REQUIRE(other->append(bytes).is_ok());
  auto shorter = ContentWriter::open(folder.path().string(), kWanted, 4);
  REQUIRE(shorter.is_ok());
  CHECK(shorter->bytes() == 0);
}

TEST_CASE("two do not fetch into one folder at once") {
  const test::TemporaryFolder folder;
  const auto first = FolderLock::take(folder.path().string());
  REQUIRE(first.is_ok());
  CHECK(FolderLock::take(folder.path().string()).status().code() == StatusCode::kUnavailable);
}

TEST_CASE("a folder that is a link to nowhere is no model that somebody else fetches") {
  const test::TemporaryFolder place;
  const std::string folder = place / "model";
  std::filesystem::create_symlink("nowhere", folder);
  const Status status = FolderLock::take(folder).status();
  CHECK(status.code() == StatusCode::kNotFound);
  CHECK(status.message().find(folder) != std::string::npos);
}

TEST_CASE("whoever took away the file of a lock that is held keeps nobody out, and has no say") {
  const test::TemporaryFolder place;
  const std::string folder = place / "model";
  const std::string lock = model_lock_path(folder);
  {
    auto first = FolderLock::take(folder);
    REQUIRE(first.is_ok());
    std::filesystem::remove(lock);
    const auto second = FolderLock::take(folder);
    REQUIRE(second.is_ok());
    // The first ends before the second: what is there is the second's.
    { const FolderLock ended = std::move(first).value(); }
    CHECK(std::filesystem::exists(lock));
    CHECK(FolderLock::take(folder).status().code() == StatusCode::kUnavailable);
  }
}

TEST_CASE("a folder into which nothing was fetched is left as it was found") {
  const test::TemporaryFolder place;
  const std::string there = place / "there", made = place / "made", used = place / "used";
  std::filesystem::create_directory(there);
  REQUIRE(FolderLock::take(there).is_ok());
  CHECK(std::filesystem::is_empty(there));
  REQUIRE(FolderLock::take(made).is_ok());
  CHECK_FALSE(std::filesystem::exists(made));
  {
    const auto lock = FolderLock::take(used);
    REQUIRE(lock.is_ok());
    std::ofstream(used + "/state") << "a model";
  }
  CHECK(std::filesystem::exists(used + "/state"));
  CHECK(std::filesystem::exists(model_lock_path(used)));
}

}  // namespace cleave::agent
