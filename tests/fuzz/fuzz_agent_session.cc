// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of a session with a server that sends anything: handshake, requests and their
// answers, and fetching, over a connection of this process with itself. Whatever comes, everything
// that the agent waits for ends, with a Status of a server that is wrong or gone and never of a
// mistake of its own. The input: agent_session.h.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "agent/fetch_client.h"
#include "agent/request_channel.h"
#include "schemas/protocol.h"
#include "tests/fuzz/agent_session.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/sample_frames.h"

namespace {

using namespace cleave;
using namespace cleave::agent;

constexpr std::chrono::milliseconds kShort{5};
constexpr std::chrono::seconds kLong{60};
// Nothing below waits for a silent server longer than some of the short times.
constexpr std::chrono::seconds kEnd{8};
constexpr std::uint64_t kOfferedFeatures = kKnownFeatures & ~kFeatureFetch;
constexpr std::uint64_t kMostFetched = 1000;
constexpr std::uint64_t kKnownTotal = 300;
constexpr std::uint64_t kManyPieces = 1 << 20;  // for which the agent asks at once

void require_server_error(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
    case StatusCode::kInternal:
    case StatusCode::kIo:
      fuzz::require(false, "a server that is wrong is no mistake of the agent's");
      break;
    default:
      fuzz::require(!status.message().empty(), "an error has a message");
  }
}

// Takes each connection in turn, and reads nothing.
class HostileServer {
 public:
  HostileServer(asio::io_context& io, tcp::acceptor& acceptor, std::span<const std::byte> first,
                std::span<const std::byte> rest, bool closes)
      : acceptor_(acceptor), peer_(io), first_(first), rest_(rest), closes_(closes) {
    accept();
  }

  // The agent's first question has ended.
  void go_on() {
    first_ = std::exchange(rest_, {});
    said_all_ = true;
    if (peer_.is_open()) say();
  }
  void end() {
    error_code ignored;
    acceptor_.cancel(ignored);
    peer_.close(ignored);
  }

 private:
  void accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) return;
      peer_ = std::move(socket);
      say();
      accept();
    });
  }
  void say() {
    const auto bytes = std::exchange(first_, {});
    asio::async_write(peer_, asio::buffer(bytes.data(), bytes.size()),
                      [this](const error_code& error, std::size_t) {
                        const bool is_over = said_all_ || rest_.empty();
                        error_code ignored;
                        if (!error && is_over && closes_) {
                          peer_.shutdown(tcp::socket::shutdown_send, ignored);
                        }
                      });
  }

  tcp::acceptor& acceptor_;
  tcp::socket peer_;
  std::span<const std::byte> first_;
  std::span<const std::byte> rest_;
  const bool closes_;
  bool said_all_ = false;
};

class Session {
 public:
  Session(asio::io_context& io, tcp::acceptor& acceptor, std::uint8_t flags,
          std::span<const std::byte> first, std::span<const std::byte> rest)
      : io_(io),
        server_(io, acceptor, first, rest, (flags & fuzz::kAgentIsLeftWaiting) == 0),
        patience_(rest.empty() && (flags & fuzz::kAgentIsLeftWaiting) == 0
                      ? std::chrono::milliseconds(kLong)
                      : kShort) {
    options_.server = {"127.0.0.1", acceptor.local_endpoint().port()};
    options_.model_identity = test::sample_identity();
    options_.score_count = fuzz::kAgentScores;
    options_.handshake_timeout = options_.stall_timeout = patience_;
    if ((flags & fuzz::kAgentIsLeftWaiting) != 0) {
      options_.ping_after = options_.gone_after = kShort / 4;
    }
  }

  asio::awaitable<void> ask_for_answers() {
    auto state = std::make_shared<LinkState>();
    auto channel = std::make_shared<RequestChannel>(
        io_.get_executor(), std::make_shared<const ConnectionOptions>(options_), state);
    const Status status = co_await channel->open(latest());
    if (status.is_ok()) {
      check_facts(channel->server());
      asio::co_spawn(io_, ask(channel, 2), rethrow);
      co_await ask(channel, 1);
      server_.go_on();
      co_await ask(channel, 3);
      (void)co_await other_asked_.wait();
    } else {
      require_server_error(status);
    }
    co_await channel->end();
    fuzz::require(state->quiet_until <= Clock::now() + options_.longest_pause,
                  "no server gets a longer pause than the longest");
    server_.end();
  }

  asio::awaitable<void> fetch(bool names_model) {
    FetchClient client(io_.get_executor(), options_, names_model ? "m" : "");
    const Status status = co_await client.ensure_connected();
    if (status.is_ok()) {
      fuzz::require(!names_model || client.current_model().has_value(),
                    "who asks for a name is told what is current");
      FetchWanted wanted;
      wanted.max_total_bytes = kMostFetched;
      co_await take(client, wanted);
      server_.go_on();
      wanted.offset = 10;
      wanted.total_bytes = kKnownTotal;
      co_await take(client, wanted);
      wanted.total_bytes = wanted.max_total_bytes = kManyPieces;
      co_await take(client, wanted);
      co_await take(client, wanted);
    } else {
      require_server_error(status);
    }
    fuzz::require(client.retry_after() <= options_.longest_pause,
                  "no server gets a longer pause than the longest");
    co_await client.close();
    server_.end();
  }

  static void rethrow(std::exception_ptr error) {
    if (error != nullptr) std::rethrow_exception(error);
  }

 private:
  [[nodiscard]] Clock::time_point latest() const { return Clock::now() + patience_; }

  void check_facts(const ServerFacts& facts) const {
    fuzz::require((facts.features & ~kOfferedFeatures) == 0, "only what was offered is agreed on");
    fuzz::require(!facts.profile || facts.profile->model_identity == options_.model_identity,
                  "a table is of the model");
  }

  asio::awaitable<void> ask(std::shared_ptr<RequestChannel> channel, std::uint64_t id) {
    constexpr std::byte kAttachment[16] = {};
    Outgoing request;
    request.request_id = id;
    request.attachment.emplace_back(kAttachment);
    request.latest = latest();
    ServerAnswer answer;
    const Status status = co_await channel->exchange(request, answer);
    if (!status.is_ok()) {
      require_server_error(status);
    } else {
      fuzz::require(answer.scores.size() == options_.score_count,
                    "an answer has the model's number of scores");
    }
    if (id == 2) other_asked_.set();
  }

  asio::awaitable<void> take(FetchClient& client, const FetchWanted& wanted) {
    std::uint64_t taken = wanted.offset, whole = 0;
    const PieceSink sink = [&](std::uint64_t total_bytes, std::span<const std::byte> bytes) {
      fuzz::require(whole == 0 || total_bytes == whole, "a whole has one length");
      fuzz::require(wanted.total_bytes == 0 || total_bytes == wanted.total_bytes,
                    "a whole has the length that is known");
      fuzz::require(total_bytes <= wanted.max_total_bytes, "a whole is within its bound");
      whole = total_bytes;
      taken += bytes.size();
      fuzz::require(taken <= whole, "no more comes than there is");
      return Status::ok();
    };
    const Status status = co_await client.fetch(wanted, sink);
    if (!status.is_ok()) {
      require_server_error(status);
      co_return;
    }
    fuzz::require(whole > 0 && taken == whole, "what was fetched is whole");
  }

  asio::io_context& io_;
  HostileServer server_;
  const std::chrono::milliseconds patience_;
  ConnectionOptions options_;
  Signal other_asked_{io_.get_executor()};
};

// One socket for all inputs. A connection that an agent gave up before it was taken is not the next
// one's.
tcp::acceptor& listen_anew(asio::io_context& io) {
  static tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  error_code nobody;
  acceptor.non_blocking(true, nobody);
  while (!nobody) {
    tcp::socket left_behind(io);
    acceptor.accept(left_behind, nobody);
  }
  return acceptor;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static asio::io_context io(1);
  if (size < fuzz::kAgentInputHeadBytes) return 0;
  const std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
  const auto stream = std::span(bytes).subspan(fuzz::kAgentInputHeadBytes);
  const std::size_t first_bytes = std::min<std::size_t>(stream.size(), data[1] + 256u * data[2]);
  const std::uint8_t flags = data[0];
  Session session(io, listen_anew(io), flags, stream.first(first_bytes),
                  stream.subspan(first_bytes));
  if ((flags & fuzz::kAgentFetches) != 0) {
    const bool names_model = (flags & fuzz::kAgentNamesModel) != 0;
    asio::co_spawn(io, session.fetch(names_model), Session::rethrow);
  } else {
    asio::co_spawn(io, session.ask_for_answers(), Session::rethrow);
  }
  io.restart();
  io.run_for(kEnd);
  fuzz::require(io.stopped(), "whatever a server sends or leaves out, a session ends");
  return 0;
}
