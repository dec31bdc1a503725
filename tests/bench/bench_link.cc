// SPDX-License-Identifier: Apache-2.0
//
// What the protocol adds to a request of 100 kB on loopback: the agent's connection and a server in
// this process, against a plain TCP sender and receiver of the same bytes, in turn in one run. The
// server's own computing, by its clock, is taken off.
//
//   build/release/bin/bench_link [--no-colors=1]
//
// Exit code 1 when more than kMostOverheadUs are added (median); without optimization or under a
// sanitizer the figures mean nothing, and nothing is judged.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include "agent/connection.h"
#include "tests/server/server_thread.h"
#include "tests/support/model_builder.h"

namespace cleave::bench {
namespace {

using agent::Clock;
using agent::ns_between;

constexpr int kWarmUp = 50;
constexpr int kRounds = 400;
constexpr double kMostOverheadUs = 150;
constexpr std::size_t kAnswerBytes = 200;  // about what an Answer of three scores takes

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool kJudged = true;
#else
constexpr bool kJudged = false;
#endif

bool read_exactly(int socket, std::size_t bytes, std::vector<std::byte>& buffer) {
  buffer.resize(bytes);
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t count = recv(socket, buffer.data() + done, bytes - done, 0);
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

bool write_exactly(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// Takes so many bytes at a time and says something short, on a thread of its own.
class PlainPeer {
 public:
  explicit PlainPeer(std::size_t bytes) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 1);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    client_ = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // The system accepts it meanwhile. What fails here throws, so there is no thread yet.
    REQUIRE(connect(client_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    thread_ = std::thread([this, bytes] { serve(bytes); });
  }
  ~PlainPeer() {
    close(client_);
    thread_.join();
    close(listener_);
  }
  PlainPeer(const PlainPeer&) = delete;
  PlainPeer& operator=(const PlainPeer&) = delete;

  double exchange_us(std::span<const std::byte> bytes) {
    const auto start = Clock::now();
    REQUIRE(write_exactly(client_, bytes));
    REQUIRE(read_exactly(client_, kAnswerBytes, answer_));
    return static_cast<double>(ns_between(start, Clock::now())) / 1e3;
  }

 private:
  void serve(std::size_t bytes) const {
    const int peer = accept(listener_, nullptr, nullptr);
    const int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const std::array<std::byte, kAnswerBytes> answer{};
    std::vector<std::byte> buffer;
    while (read_exactly(peer, bytes, buffer) && write_exactly(peer, answer)) {
    }
    close(peer);
  }

  int listener_ = -1;
  int client_ = -1;
  std::vector<std::byte> answer_;
  std::thread thread_;
};

// 40 x 40 x 16 f32 cross behind the first op: 102,400 bytes.
std::vector<std::byte> bench_model() {
  test::ModelBuilder builder({40, 40, 3});
  const test::Tensor x =
      builder.conv2d(builder.input(), 16, test::WindowSpec{.window = 3, .stride = 1, .pad = 1});
  builder.fully_connected(x, 3);
  return builder.build();
}

double quantile_of(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

void print_row(const char* name, const std::vector<double>& values) {
  std::printf("%-34s%10.1f%10.1f%10.1f\n", name, quantile_of(values, 0.1), quantile_of(values, 0.5),
              quantile_of(values, 0.9));
}

}  // namespace

TEST_CASE("what the protocol adds to a request of 100 kB on loopback") {
  const std::vector<std::byte> model = bench_model();
  const test::ServerThread server(model);
  const std::uint64_t bytes = server.model().variants[0].cuts[1].boundary_bytes;
  const std::vector<std::byte> payload(bytes);
  PlainPeer plain_peer(bytes);
  agent::asio::io_context io(1);
  agent::ConnectionOptions options;
  options.server = {"127.0.0.1", server.port()};
  options.model_identity = server.model().file->identity();
  options.score_count = 3;
  agent::Connection connection(io.get_executor(), options);
  std::vector<double> plain_us, whole_us, compute_us, added_us;
  const auto measure = [&]() -> agent::asio::awaitable<void> {
    for (int i = 0; i < kWarmUp + kRounds; ++i) {
      const double plain = plain_peer.exchange_us(payload);
      agent::Outgoing request;
      request.request_id = static_cast<std::uint64_t>(i) + 1;
      request.cut = 1;
      request.attachment.emplace_back(payload);
      agent::ServerAnswer answer;
      const auto start = Clock::now();
      const Status status = co_await connection.exchange(request, answer);
      const double whole = static_cast<double>(ns_between(start, Clock::now())) / 1e3;
      CHECK_MESSAGE(status.is_ok(), status.message());
      if (i < kWarmUp) continue;
      plain_us.push_back(plain);
      whole_us.push_back(whole);
      compute_us.push_back(static_cast<double>(answer.times.compute_ns) / 1e3);
      added_us.push_back(whole - compute_us.back() - plain);
    }
    co_await connection.close();
  };
  agent::asio::co_spawn(io, measure(), agent::asio::detached);
  io.run();
  REQUIRE(added_us.size() == kRounds);
  std::printf("%d requests of %llu bytes, loopback, us:%7s%10s%10s\n", kRounds,
              static_cast<unsigned long long>(bytes), "p10", "median", "p90");
  print_row("plain TCP, there and back", plain_us);
  print_row("request to answer", whole_us);
  print_row("of it, the server's computing", compute_us);
  print_row("added by the protocol", added_us);
  if (kJudged) CHECK(quantile_of(added_us, 0.5) <= kMostOverheadUs);
}

}  // namespace cleave::bench
