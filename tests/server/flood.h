// SPDX-License-Identifier: Apache-2.0
//
// Floods of connections from one address, and an agent at another that is to be answered all the
// while.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace cleave::test {

// Of 127.0.0.x.
inline constexpr std::uint8_t kFlooderAddress = 2, kAgentAddress = 3;
inline constexpr unsigned kFloodAttempts = 10'000;
// Those that a flooder keeps open: many more than one address may have in a handshake.
inline constexpr std::size_t kFloodKept = 400;

// Runs `flood` of so many attempts on a thread of its own, and `ask` again and again until it is
// over, at least once: one agent that connects, asks and leaves, and says whether it was answered.
// None may take long. Gives how many times it was; the first time that it was not ends the asking.
template <typename Flood, typename Ask>
unsigned answers_beside(unsigned attempts, const Flood& flood, const Ask& ask) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  std::atomic<bool> flooding{true};
  const auto start = Clock::now();
  auto longest = Clock::duration::zero();
  unsigned answered = 0;
  {
    const std::jthread flooder([&] {
      flood();
      flooding = false;
    });
    while (flooding || answered == 0) {
      const auto before = Clock::now();
      const bool is_answered = ask();
      CHECK(is_answered);
      if (!is_answered) break;
      ++answered;
      longest = std::max(longest, Clock::now() - before);
      // Over the time of the flood the agent stays within the rate of its own address.
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
  const auto took = Clock::now() - start;
  CHECK(longest < std::chrono::seconds(5));
  CHECK(took < std::chrono::seconds(120));
  MESSAGE(attempts << " attempts in " << std::chrono::duration_cast<milliseconds>(took).count()
                   << " ms, " << answered << " answers, the slowest after "
                   << std::chrono::duration_cast<milliseconds>(longest).count() << " ms");
  return answered;
}

}  // namespace cleave::test
