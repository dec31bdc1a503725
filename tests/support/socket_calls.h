// SPDX-License-Identifier: Apache-2.0
//
// What this process says to the system at its sockets: a program that is built with socket_calls.cc
// has its send(), sendmsg(), recv() and recvmsg() go through here. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cleave::test {

struct SocketCall {
  int socket = -1;
  bool sends = false;
  std::vector<std::span<const std::byte>> pieces;  // where from, or where to
  std::ptrdiff_t result = -1;                      // bytes moved

  [[nodiscard]] std::size_t bytes() const;  // of all pieces
  // Whether one of the pieces has a byte of `memory`.
  [[nodiscard]] bool touches(std::span<const std::byte> memory) const;
};

// From its start to its end; one at a time.
class SocketWatch {
 public:
  SocketWatch();
  ~SocketWatch();
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  // Those that moved something so far, in their order. Waits for sends that have begun.
  [[nodiscard]] static std::vector<SocketCall> calls();
  // Of these, those that sent from `memory`, or received into it.
  [[nodiscard]] static std::vector<SocketCall> calls_at(std::span<const std::byte> memory);
};

// The connected TCP sockets of this process whose own port it is, and those whose peer's it is.
[[nodiscard]] std::vector<int> sockets_of(std::uint16_t port);
[[nodiscard]] std::vector<int> sockets_to(std::uint16_t port);

}  // namespace cleave::test
