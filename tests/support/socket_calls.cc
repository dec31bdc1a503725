// SPDX-License-Identifier: Apache-2.0
#include "tests/support/socket_calls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace cleave::test {
namespace {

constexpr int kMostDescriptors = 1024;

struct Seen {
  std::mutex mutex;
  std::condition_variable sent;
  int sending = 0;  // calls that are not noted yet
  bool watched = false;
  std::vector<SocketCall> calls;
};

// Sockets may outlive what a test has of its own.
Seen& seen() {
  static Seen all;
  return all;
}

// What is sent may have arrived, and been answered, before its sender goes on to note it.
class Sending {
 public:
  Sending() {
    const std::lock_guard lock(seen().mutex);
    ++seen().sending;
  }
  ~Sending() {
    const std::lock_guard lock(seen().mutex);
    --seen().sending;
    seen().sent.notify_all();
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;
};

void note(int socket, bool sends, const msghdr& message, ssize_t result) {
  const std::lock_guard lock(seen().mutex);
  if (!seen().watched || result <= 0) return;
  SocketCall call{.socket = socket, .sends = sends, .pieces = {}, .result = result};
  for (const iovec& piece : std::span(message.msg_iov, message.msg_iovlen)) {
    if (piece.iov_len == 0) continue;
    call.pieces.emplace_back(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
  }
  seen().calls.push_back(std::move(call));
}

void note(int socket, bool sends, const void* data, std::size_t size, ssize_t result) {
  iovec piece{const_cast<void*>(data), size};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  note(socket, sends, message, result);
}

using NameOf = int (*)(int, sockaddr*, socklen_t*);

std::uint16_t port_of(int socket, NameOf name_of) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  const bool named = name_of(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  return named && address.sin_family == AF_INET ? ntohs(address.sin_port) : 0;
}

std::vector<int> connected_sockets(NameOf name_of, std::uint16_t port) {
  std::vector<int> found;
  for (int each = 0; each < kMostDescriptors; ++each) {
    // One that listens has no peer.
    const bool connected = port_of(each, getpeername) != 0;
    if (connected && port_of(each, name_of) == port) found.push_back(each);
  }
  return found;
}

}  // namespace

std::size_t SocketCall::bytes() const {
  std::size_t sum = 0;
  for (const auto& piece : pieces) sum += piece.size();
  return sum;
}

bool SocketCall::touches(std::span<const std::byte> memory) const {
  return std::ranges::any_of(pieces, [&](const auto& piece) {
    return piece.data() < memory.data() + memory.size() &&
           memory.data() < piece.data() + piece.size();
  });
}

SocketWatch::SocketWatch() {
  const std::lock_guard lock(seen().mutex);
  seen().calls.clear();
  seen().watched = true;
}

SocketWatch::~SocketWatch() {
  const std::lock_guard lock(seen().mutex);
  seen().watched = false;
}

std::vector<SocketCall> SocketWatch::calls() {
  std::unique_lock lock(seen().mutex);
  seen().sent.wait(lock, [] { return seen().sending == 0; });
  return seen().calls;
}

std::vector<SocketCall> SocketWatch::calls_at(std::span<const std::byte> memory) {
  std::vector<SocketCall> found = calls();
  std::erase_if(found, [&](const SocketCall& call) { return !call.touches(memory); });
  return found;
}

std::vector<int> sockets_of(std::uint16_t port) { return connected_sockets(getsockname, port); }
std::vector<int> sockets_to(std::uint16_t port) { return connected_sockets(getpeername, port); }

}  // namespace cleave::test

// In the place of the C library's. The system itself is asked, as it would.
extern "C" {

ssize_t send(int socket, const void* data, size_t size, int flags) {
  const cleave::test::Sending sending;
  const ssize_t result = syscall(SYS_sendto, socket, data, size, flags, nullptr, 0);
  cleave::test::note(socket, true, data, size, result);
  return result;
}

ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  const cleave::test::Sending sending;
  const ssize_t result = syscall(SYS_sendmsg, socket, message, flags);
  cleave::test::note(socket, true, *message, result);
  return result;
}

ssize_t recv(int socket, void* data, size_t size, int flags) {
  const ssize_t result = syscall(SYS_recvfrom, socket, data, size, flags, nullptr, nullptr);
  cleave::test::note(socket, false, data, size, result);
  return result;
}

ssize_t recvmsg(int socket, msghdr* message, int flags) {
  const ssize_t result = syscall(SYS_recvmsg, socket, message, flags);
  cleave::test::note(socket, false, *message, result);
  return result;
}

}  // extern "C"
