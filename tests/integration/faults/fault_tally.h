// SPDX-License-Identifier: Apache-2.0
//
// What the acts of the fault suite met: a fault that comes when everything is over proves nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/integration/faults/fault_plan.h"

namespace cleave::test {

struct FaultTally {
  struct Count {
    unsigned acts = 0;  // performed
    // Those that met somebody: of acts on server and link, while a connection of a running agent
    // was open; of the others, while an agent ran. Of flips, cuts, slow answers and full disks what
    // counts is done: bytes flipped, connections cut, pieces held back, writes refused.
    unsigned met = 0;
  };
  std::array<Count, kActKinds> kinds{};
  unsigned updates_killed = 0, calls_interrupted = 0, cache_writes_refused = 0;
  unsigned flips_over_tls = 0;  // of both directions
  // Servers that were judged without having been started anew, what they had lived through, and by
  // how much the one grew that grew most.
  unsigned servers_judged = 0, acts_outlived = 0;
  std::uint64_t most_growth_bytes = 0;

  [[nodiscard]] Count& of(ActKind kind) { return kinds[static_cast<unsigned>(kind)]; }
  void add(const FaultTally& other);
  // The kinds that never met anybody.
  [[nodiscard]] std::vector<std::string> missing() const;
  // A line for each kind, and one each for the rest.
  [[nodiscard]] std::string table() const;
};

// Whether what such an act meets is a connection, and not just a run of the agent.
[[nodiscard]] bool is_of_link(ActKind kind);
// Whether what such an act does is counted where it is done.
[[nodiscard]] bool is_counted_by_effect(ActKind kind);

}  // namespace cleave::test
