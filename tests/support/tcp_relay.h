// SPDX-License-Identifier: Apache-2.0
//
// A relay between an agent and a server on loopback that can spoil what passes through it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace cleave::test {

class TcpRelay {
 public:
  // Listens on a free port of 127.0.0.1 and forwards every connection to `server_port` there.
  explicit TcpRelay(std::uint16_t server_port);
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // Flips every bit of the byte at `offset` of what each client sends from now on; -1: none.
  void flip_byte_at(std::int64_t offset) { up_.flip_at = offset; }
  // Closes both sides once a client has sent this many bytes; -1: never.
  void cut_after(std::int64_t bytes) { up_.cut_after = bytes; }
  // Likewise of what the server sends on each connection.
  void flip_answer_at(std::int64_t offset) { down_.flip_at = offset; }
  void cut_answers_after(std::int64_t bytes) { down_.cut_after = bytes; }
  // Closes every connection there is now, stranded ones too.
  void close_connections() { ++generation_; }
  // New connections are closed at once, as long as this holds.
  void refuse(bool refused) { refusing_ = refused; }
  // Nothing passes, as long as this holds; connections stay, and new ones are taken.
  void freeze(bool frozen) { frozen_ = frozen; }
  // Nothing passes any more on the connections there are now, and neither end is told: half-open.
  void strand_connections() { ++stranded_; }
  // Nothing passes from where the clients have sent so many bytes more, until release().
  void hold_after(std::uint64_t bytes) { hold_at_ = bytes_up_ + bytes; }
  void release() { hold_at_ = kNowhere; }
  [[nodiscard]] bool is_holding() const { return bytes_up_ >= hold_at_; }
  // What the server sends is held back for so long.
  void delay_answers(std::chrono::milliseconds delay) { delay_ms_ = delay.count(); }
  // Of the connections to come.
  void forward_to(std::uint16_t server_port) { server_port_ = server_port; }
  // Bytes that clients sent on all connections so far.
  [[nodiscard]] std::uint64_t bytes_up() const { return bytes_up_; }
  // What the clients sent, in the order it came, before anything was flipped.
  [[nodiscard]] std::vector<std::byte> recorded() const;
  // Whether it is kept from now on; by default it is.
  void keep_recording(bool kept) { recording_on_ = kept; }
  [[nodiscard]] unsigned connections() const { return connections_; }
  [[nodiscard]] unsigned open_connections() const { return open_; }

  // What was done to bytes so far.
  struct Spoils {
    unsigned flips_up = 0, flips_down = 0;  // bytes
    unsigned cuts_up = 0, cuts_down = 0;    // connections
    unsigned delays = 0;                    // pieces of answers
  };
  [[nodiscard]] Spoils spoils() const;

 private:
  static constexpr std::uint64_t kNowhere = UINT64_MAX;

  // Of one direction.
  struct Lane {
    std::atomic<std::int64_t> flip_at{-1};
    std::atomic<std::int64_t> cut_after{-1};
    std::atomic<unsigned> flips{0}, cuts{0};
  };

  void accept_loop();
  void forward(int client, int server);
  bool pass_on(int from, int to, bool up, std::int64_t& sent);
  void record(std::span<const std::byte> bytes);

  std::atomic<std::uint16_t> server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  Lane up_, down_;
  std::atomic<std::int64_t> delay_ms_{0};
  std::atomic<unsigned> delays_{0}, open_{0};
  std::atomic<std::uint64_t> hold_at_{kNowhere};
  std::atomic<bool> refusing_{false};
  std::atomic<bool> frozen_{false};
  std::atomic<unsigned> stranded_{0};
  std::atomic<std::uint64_t> bytes_up_{0};
  std::atomic<unsigned> connections_{0};
  std::atomic<unsigned> generation_{0};
  std::atomic<bool> recording_on_{true};
  std::atomic<bool> stopping_{false};
  mutable std::mutex recording_;
  std::vector<std::byte> recorded_;  // under recording_
  std::thread acceptor_;
  struct Forwarder {
    std::atomic<bool> done{false};
    std::thread thread;
  };
  std::list<Forwarder> forwarders_;  // touched by the acceptor, then by the destructor
};

}  // namespace cleave::test
