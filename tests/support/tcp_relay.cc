// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tcp_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <span>

namespace cleave::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool send_all(int socket, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t count = send(socket, data, size, MSG_NOSIGNAL);
    if (count <= 0) return false;
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

TcpRelay::TcpRelay(std::uint16_t server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  listen(listener_, 16);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

TcpRelay::~TcpRelay() {
  stopping_ = true;
  acceptor_.join();
  for (Forwarder& forwarder : forwarders_) forwarder.thread.join();
  close(listener_);
}

void TcpRelay::accept_loop() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, 20) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (refusing_) {
      close(client);
      continue;
    }
    ++connections_;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(server_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      close(server);
      close(client);
      continue;
    }
    const int yes = 1;
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    forwarders_.remove_if([](Forwarder& forwarder) {
      if (forwarder.done) forwarder.thread.join();
      return forwarder.done.load();
    });
    Forwarder& forwarder = forwarders_.emplace_back();
    forwarder.thread = std::thread([this, client, server, &forwarder] {
      forward(client, server);
      forwarder.done = true;
    });
  }
}

void TcpRelay::record(std::span<const std::byte> bytes) {
  if (!recording_on_) return;
  const std::lock_guard lock(recording_);
  recorded_.insert(recorded_.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> TcpRelay::recorded() const {
  const std::lock_guard lock(recording_);
  return recorded_;
}

TcpRelay::Spoils TcpRelay::spoils() const {
  return {.flips_up = up_.flips,
          .flips_down = down_.flips,
          .cuts_up = up_.cuts,
          .cuts_down = down_.cuts,
          .delays = delays_};
}

// One piece of one direction; false when the connection is over.
bool TcpRelay::pass_on(int from, int to, bool up, std::int64_t& sent) {
  Lane& lane = up ? up_ : down_;
  std::array<char, 65536> chunk;
  const std::uint64_t hold = hold_at_;
  const std::uint64_t before_hold = hold - std::min<std::uint64_t>(bytes_up_, hold);
  const std::size_t most = up ? std::min<std::uint64_t>(chunk.size(), before_hold) : chunk.size();
  if (most == 0) return true;
  const ssize_t count = recv(from, chunk.data(), most, 0);
  if (count <= 0) return false;
  if (up) record(std::as_bytes(std::span(chunk)).first(static_cast<std::size_t>(count)));
  const std::int64_t flip = lane.flip_at - sent;
  if (flip >= 0 && flip < count) {
    char& byte = chunk[static_cast<std::size_t>(flip)];
    byte = static_cast<char>(~byte);
    ++lane.flips;
  }
  sent += count;
  if (up) bytes_up_ += static_cast<std::uint64_t>(count);
  if (const std::int64_t delay = delay_ms_; !up && delay > 0) {
    ++delays_;
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
  }
  if (!send_all(to, chunk.data(), static_cast<std::size_t>(count))) return false;
  const std::int64_t cut = lane.cut_after;
  if (cut < 0 || sent < cut) return true;
  ++lane.cuts;
  return false;
}

void TcpRelay::forward(int client, int server) {
  std::int64_t sent_up = 0, sent_down = 0;
  bool open = true;
  const unsigned generation = generation_;
  const unsigned stranded = stranded_;
  const auto stands_still = [&] { return frozen_ || stranded != stranded_ || is_holding(); };
  ++open_;
  while (open && !stopping_ && generation == generation_) {
    if (stands_still()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    std::array<pollfd, 2> ends{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
    if (poll(ends.data(), ends.size(), 20) <= 0) continue;
    if (stands_still()) continue;
    if (ends[0].revents != 0) open = pass_on(client, server, true, sent_up);
    if (open && ends[1].revents != 0) open = pass_on(server, client, false, sent_down);
  }
  --open_;
  close(client);
  close(server);
}

}  // namespace cleave::test
