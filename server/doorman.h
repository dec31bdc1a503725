// SPDX-License-Identifier: Apache-2.0
//
// Tells connections for which there is no room that the server is Busy and when to come back, then
// closes them. Everything is bounded: so many at a time, so long each; nobody waits for it. Runs on
// the network thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <unordered_set>

#include "server/net.h"

namespace cleave::server {

class Doorman {
 public:
  // The number that are told at the same time; further ones are closed without a word.
  static constexpr std::size_t kMostVisitors = 256;
  static constexpr std::chrono::milliseconds kPatience{1'000};
  // A place is free when another agent leaves, which nobody can foresee: a plain second.
  static constexpr std::uint32_t kRetryAfterMs = 1'000;

  // `scrap` takes what visitors say; it and this object must outlive the io_context's run.
  explicit Doorman(std::span<std::byte> scrap) : scrap_(scrap) {}

  // Takes `socket` over and returns at once. Without memory the connection is closed without a
  // word.
  void turn_away(tcp::socket socket);
  // Closes all that are still being told.
  void end();

 private:
  struct Visitor {
    explicit Visitor(tcp::socket s) : socket(std::move(s)), deadline(socket.get_executor()) {}
    tcp::socket socket;
    asio::steady_timer deadline;
  };

  void receive(const std::shared_ptr<Visitor>& visitor);
  // Closes and forgets, however it went.
  void see_off(const std::shared_ptr<Visitor>& visitor);
  asio::awaitable<void> tell(std::shared_ptr<Visitor> visitor);

  std::span<std::byte> scrap_;
  std::unordered_set<std::shared_ptr<Visitor>> visitors_;
};

}  // namespace cleave::server
