// SPDX-License-Identifier: Apache-2.0
//
// A server that does what its script says, right or wrong, on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/wire_reader.h"

namespace cleave::test {

// A Welcome with a table of `ops` ops of variant "f32", 5 ns each.
// `features`: agreed on.
FrameBytes make_test_welcome(const ModelIdentity& identity, std::uint64_t max_picture_bytes,
                             std::size_t ops = 1, std::uint64_t features = 0,
                             std::uint32_t heartbeat_ms = 0);

// One accepted connection, in the hands of the script.
class ScriptedPeer {
 public:
  explicit ScriptedPeer(int socket) : socket_(socket) {}
  // False when the agent closed.
  bool send(std::span<const std::byte> bytes) const;
  // The next message; null when the agent closed.
  const fbs::Envelope* receive();
  // Of the message last received.
  [[nodiscard]] std::size_t attachment_bytes() const { return attachment_.size(); }
  [[nodiscard]] const std::vector<std::byte>& attachment() const { return attachment_; }

  // Takes `bytes` of what comes, `step` of them each `pause`: a slow link. False when it ended
  // before.
  bool drain(std::size_t bytes, std::size_t step, std::chrono::milliseconds pause) const;

  // What the system has taken and nobody has read.
  [[nodiscard]] std::size_t unread_bytes() const;

  // Nothing comes for so long.
  [[nodiscard]] bool is_quiet_for(std::chrono::milliseconds time) const;

  // Hello, Welcome, three Pings and their Pongs.
  void greet(const ModelIdentity& identity, std::uint64_t max_picture_bytes = 1 << 20,
             std::size_t ops = 1, std::uint64_t features = 0, std::uint32_t heartbeat_ms = 0);
  // The id of the next Request, Pings before it answered and everything else read away; 0 when the
  // agent closed.
  std::uint64_t next_request();

 private:
  bool receive_exactly(std::span<std::byte> bytes) const;
  int socket_;
  std::vector<std::uint64_t> storage_;
  std::vector<std::byte> attachment_;
};

class ScriptedServer {
 public:
  // Runs `script` for each connection, one at a time, with the connection's number from 0; then
  // closes it. The system takes `receive_buffer_bytes` for a slow script; 0: as much as it likes.
  explicit ScriptedServer(std::function<void(ScriptedPeer&, int)> script,
                          int receive_buffer_bytes = 0);
  ~ScriptedServer();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cleave::test
