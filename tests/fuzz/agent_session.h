// SPDX-License-Identifier: Apache-2.0
//
// What an input of fuzz_agent_session is:
//   flags:1  first_bytes:2 (little endian)  stream
// The server sends `first_bytes` of the stream at once, and the rest when the agent's first
// question has ended.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cleave::fuzz {

inline constexpr std::uint8_t kAgentFetches = 1;        // else it asks for answers
inline constexpr std::uint8_t kAgentNamesModel = 2;     // when it fetches
inline constexpr std::uint8_t kAgentIsLeftWaiting = 4;  // the server does not close at the end
inline constexpr std::size_t kAgentInputHeadBytes = 3;

inline constexpr std::size_t kAgentScores = 3;

// REQUIRES: first_bytes < 64 KiB.
[[nodiscard]] inline std::vector<std::byte> agent_session_input(std::uint8_t flags,
                                                                std::size_t first_bytes,
                                                                std::span<const std::byte> stream) {
  std::vector<std::byte> input{std::byte{flags}, static_cast<std::byte>(first_bytes & 0xff),
                               static_cast<std::byte>(first_bytes >> 8)};
  input.insert(input.end(), stream.begin(), stream.end());
  return input;
}

}  // namespace cleave::fuzz
