// SPDX-License-Identifier: Apache-2.0
//
// The policies: LMOS and the baselines it is compared with (LOA, ECO, SCO, RS).
#pragma once

#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

// Chooses by Request::policy among scored candidates. `front` is what pareto_front()
// gives for the request's objectives. Fills status (kOk, kInfeasible or kNoCandidates), reason,
// broken, index, budget and chosen of the result and leaves the rest.
// REQUIRES: is_valid(request); scores as long as candidates, at most kMaxCandidates.
[[nodiscard]] Decision choose(std::span<const Candidate> candidates, std::span<const Score> scores,
                              std::span<const CandidateIndex> front, const Request& request);

// Whether the enumerators are known, the objectives are two, and the factor is at least 1 where the
// rank uses it.
[[nodiscard]] bool is_valid(const Request& request);

// SplitMix64 (Steele, Lea, Flood, 2014): a 64-bit generator whose state is one counter. Public so
// that a replay can draw the same numbers.
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9e37'79b9'7f4a'7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }

  // Uniform over 0..bound-1, without the bias of a plain remainder. REQUIRES: bound > 0.
  constexpr std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t uneven = (0 - bound) % bound;  // 2^64 mod bound
    std::uint64_t draw = next();
    while (draw < uneven) draw = next();
    return draw % bound;
  }

 private:
  std::uint64_t state_;
};

}  // namespace cleave::planner
