// SPDX-License-Identifier: Apache-2.0
//
// Picks from a front that the planner found, by rules that are not its own: the knee, the least of
// an objective. The planner's core chooses by bounds alone (planner::Rank).
#pragma once

#include <optional>
#include <span>

#include "planner/planner.h"

namespace cleave::agent {

// The candidate of the front with the least energy, cost or latency, or the most edge memory; of
// equals the first, which is the best in the constrained objective. The objective may be one that
// the front is not about. Nothing when the front is empty.
// REQUIRES: the indices of `front` are within `scores`.
[[nodiscard]] std::optional<planner::CandidateIndex> best_on_front(
    std::span<const planner::Score> scores, std::span<const planner::CandidateIndex> front,
    planner::Objective objective);

// The knee: where giving up a little more of one objective stops gaining much of the other. With
// both objectives scaled to 0 at the ideal and 1 at the nadir point, it is the candidate farthest
// below the line from one end of the front to the other. Of equals the first; when none is below
// the line, as on fronts of one or two points, the end that is best in the constrained objective.
// Nothing when the front is empty. REQUIRES: `front` is plan()'s for these objectives.
[[nodiscard]] std::optional<planner::CandidateIndex> knee_of_front(
    std::span<const planner::Score> scores, std::span<const planner::CandidateIndex> front,
    const planner::ObjectivePair& objectives);

}  // namespace cleave::agent
