// SPDX-License-Identifier: Apache-2.0
//
// One number for everything that plan() says about many random instances: every policy, choice,
// front and score. Freestanding, so that a machine without an operating system can compute it too.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "planner/epsilon_constraint.h"
#include "planner/planner.h"
#include "tests/planner/random_instance.h"

namespace cleave::planner::testing {

// FNV-1a over the bytes of each number, lowest first.
class Digest {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      hash_ = (hash_ ^ ((value >> (8 * byte)) & 0xff)) * 0x100'0000'01b3;
    }
  }
  void add(const ObjectivePoint& p) {
    for (const std::uint64_t v : {p.latency_ns, p.memory_bytes, p.energy_uj, p.cost_ueur}) add(v);
  }
  void add(const Decision& d) {
    add(static_cast<std::uint64_t>(d.status));
    add(static_cast<std::uint64_t>(d.reason));
    for (const std::uint64_t v : {std::uint64_t{d.broken}, std::uint64_t{d.index}, d.budget}) {
      add(v);
    }
    add(d.chosen);
    add(d.ideal);
    add(d.nadir);
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf2'9ce4'8422'2325;
};

inline constexpr int kDigestInstances = 10'000;
inline constexpr std::size_t kDigestCandidates = 24;
inline constexpr std::uint64_t kExpectedDigest = 5'308'309'113'891'910'894u;

inline std::uint64_t digest_of_random_plans() {
  static std::array<Candidate, kDigestCandidates> candidates;
  static std::array<Score, kDigestCandidates> scores;
  static std::array<CandidateIndex, kDigestCandidates> front;
  InstanceSource source(42);
  Digest digest;
  for (int i = 0; i < kDigestInstances; ++i) {
    Instance instance = source.next(candidates);
    for (const Policy policy : kAllPolicies) {
      instance.request.policy = policy;
      const Decision decision = plan(instance.candidates, instance.conditions, instance.request,
                                     {.scores = scores, .front = front});
      digest.add(decision);
      for (std::size_t n = 0; n < decision.front_size; ++n) digest.add(front[n]);
    }
    for (const Score& s : std::span(scores).first(instance.candidates.size())) {
      digest.add(s.latency_ns ^ s.tx_ns ^ s.broken);
      digest.add(s.energy_uj ^ (s.cost_ueur << 1));
    }
    const EpsilonFront all =
        enumerate_front(instance.candidates, std::span(scores).first(instance.candidates.size()),
                        instance.request.objectives, front);
    digest.add(all.first_epsilon ^ all.size);
  }
  return digest.value();
}

}  // namespace cleave::planner::testing
