// SPDX-License-Identifier: Apache-2.0
//
// The planner: where to cut a network between this device and its server. START HERE.
//
// A freestanding integer library: no heap, no floating point, no libc, no recursion, no global
// state. Every function is pure in its arguments, so threads need no locks as long as they do not
// share output spans. Time is nanoseconds, size is bytes, rate is bits per second, all unsigned 64
// bit; arithmetic that would overflow saturates at UINT64_MAX and never wraps (fixed_point.h). The
// same input gives the same decision, bit for bit, on every machine.
//
// Use:
//   1. build_candidates() (cost_model.h) turns measured tables into Candidates, or the caller
//      fills them in: once per model and profile;
//   2. plan() scores them under the present Conditions (conditions.h), finds the exact Pareto front
//      of two objectives, and chooses one candidate by the policy asked for: for every picture;
//   3. Hysteresis (hysteresis.h) says whether the choice is worth a switch now.
//
// Left alone, it trades latency against edge memory: the most memory on the device (the deepest
// cut) within a tenth of the best latency. Energy and cost are 0 until Conditions says what they
// are worth.
//
// Source of these objectives and of Algorithm 1: Jain et al., "Latency-Memory Optimized Splitting
// of Convolution Neural Networks for Resource Constrained Edge Devices" (LMOS), arXiv:2107.09123.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "planner/conditions.h"

namespace cleave::planner {

// 512 cuts x 8 codecs x 3 variants.
inline constexpr std::size_t kMaxCandidates = 512 * 8 * 3;

// Position of a candidate in the caller's span.
using CandidateIndex = std::uint16_t;
inline constexpr CandidateIndex kNoCandidate = std::numeric_limits<CandidateIndex>::max();

// One way of running one picture: a cut, a codec for what crosses it, and a variant of the model.
// Everything here is independent of the present Conditions.
struct Candidate {
  std::uint32_t cut = 0;               // op boundary c: ops [0, c) run on the device
  std::uint16_t split = 0;             // split_point k: layers wholly on the device, 0..L
  std::uint8_t codec = 0;              // how the boundary tensors travel; opaque here
  std::uint8_t variant = 0;            // precision of the model; opaque here
  bool needs_server = true;            // false at k = L: nothing is sent, no server time is counted
  bool sends_jpeg = false;             // k = 0: the picture's JPEG file goes as it is
  std::uint32_t disagreement_ppm = 0;  // pictures in a million whose first label differs from that
                                       // of the exact model, as measured; 0: lossless
  std::uint64_t boundary_bytes = 0;    // U: coded bytes that cross the link, median
  std::uint64_t boundary_bytes_p95 = 0;  // 95 pictures in 100 need no more; at least the median
  std::uint64_t edge_latency_ns = 0;     // T_edge: input, head and encode
  std::uint64_t server_latency_ns = 0;   // T_work: decode and tail, without the queue
  std::uint64_t edge_memory_bytes = 0;   // f2: memory of the head itself; the same for each codec
  std::uint64_t edge_ram_bytes = 0;      // all RAM the process needs; what Caps::ram_bytes bounds
  std::uint64_t edge_storage_bytes = 0;  // what the device keeps on disk for this head
};

// The bounds that a candidate breaks, as bits of Score::broken and Decision::broken.
enum Bound : std::uint16_t {
  kBoundNone = 0,
  kBoundRam = 1 << 0,
  kBoundStorage = 1 << 1,
  kBoundServerAbsent = 1 << 2,   // needs a server, none is refused, and none can be reached: the
                                 // link is unavailable or its bandwidth is 0
  kBoundPrivacyFloor = 1 << 3,   // split < min_split
  kBoundServerRefused = 1 << 4,  // needs a server, and Caps::server_refused
  kBoundDisagreement = 1 << 5,   // other answers than the exact model's, too often
  // Judged only where latency, energy and cost are known: not when a needed server is out of reach.
  kBoundDeadline = 1 << 6,
  kBoundEnergy = 1 << 7,
  kBoundCost = 1 << 8,
};

// A candidate under the present Conditions. Where a needed server is out of reach, tx_ns,
// latency_ns, energy_uj and cost_ueur are UINT64_MAX.
struct Score {
  std::uint64_t latency_ns = 0;    // f1 = T_edge + T_tx + T_server, T_server = queue + T_work
  std::uint64_t memory_bytes = 0;  // f2
  std::uint64_t energy_uj = 0;     // f3, of this device: see EnergyModel
  std::uint64_t cost_ueur = 0;     // f4, of Prices::requests pictures: see Prices
  std::uint64_t tx_ns = 0;         // T_tx, part of latency_ns
  std::uint16_t broken = 0;        // bits of Bound; 0 means feasible
  bool on_front = false;           // one of the Pareto front that plan() returned
};

enum class Objective : std::uint8_t {
  kLatency = 1,     // f1, smaller is better
  kEdgeMemory = 2,  // f2, larger is better: more of the work, and of the picture, stays here
  kEnergy = 3,      // f3, smaller is better
  kCost = 4,        // f4, smaller is better
};

// The two that are traded against each other, i and j of Algorithm 1. The other two count only as
// bounds: deadline, energy budget, cost bound; RAM and privacy floor for the memory.
struct ObjectivePair {
  Objective optimized = Objective::kEdgeMemory;  // i
  Objective constrained = Objective::kLatency;   // j
};

enum class Policy : std::uint8_t {
  kLmos,            // a point of the front, by Rank
  kLatencyOnly,     // LOA: least latency
  kEdgeOnly,        // ECO: least latency among those that need no server
  kServerOnly,      // SCO: least latency among those with k = 0 that need a server
  kServerOnlyRaw,   // SCO among those that send pixels
  kServerOnlyJpeg,  // SCO among those that send a JPEG
  kRandom,          // RS: uniform over the feasible candidates, by Request::seed
};

// How LMOS picks its point from the front.
enum class Rank : std::uint8_t {
  // Best in f_i with f_j within its best value x Request::factor (edge memory: divided by it). With
  // the default objectives: the deepest that is at most a tenth slower than the fastest.
  kWithinFactor,
  // Best in f_i with f_j within Request::budget; the best in f_j when nothing is.
  kWithinBudget,
  // Algorithm 1 as published: the point ranked best in f_i is returned. With i = 2, j = 1 that is
  // the deepest feasible non-dominated split whatever the bandwidth.
  kLiteral,
};

// A positive fraction; denominator 0 is refused.
struct Ratio {
  std::uint32_t numerator = 1;
  std::uint32_t denominator = 1;
};

inline constexpr Ratio kDefaultFactor{11, 10};

// What is asked of plan(). Fields that the policy or rank does not name are ignored, but for
// `objectives`: the front is theirs under every policy.
struct Request {
  Policy policy = Policy::kLmos;
  Rank rank = Rank::kWithinFactor;
  ObjectivePair objectives = {};
  Ratio factor = kDefaultFactor;  // kWithinFactor; at least 1
  std::uint64_t budget = 0;       // kWithinBudget: at most so much f_j (ns, uJ, micro-euro), or at
                                  // least so many bytes of edge memory
  std::uint64_t seed = 0;         // kRandom; change it for each request
};

enum class PlanStatus : std::uint8_t {
  kOk,
  kInfeasible,      // every candidate the policy may choose breaks a bound: see Decision::broken
  kNoCandidates,    // the span is empty, or the policy has no candidate to choose from
  kTooMany,         // more than kMaxCandidates
  kOutputTooSmall,  // scores or front shorter than candidates
  kBadRequest,      // a Ratio with denominator 0 or below 1, an unknown enumerator, or one
                    // objective twice
};

// Why the chosen candidate was chosen.
enum class Reason : std::uint8_t {
  kNone,                 // nothing was chosen
  kBestWithinBudget,     // best in f_i with f_j within Decision::budget; by default the deepest
  kNothingWithinBudget,  // no candidate is within it: the best in f_j instead
  kLiteralRank,          // Algorithm 1, ranked by f_i
  kLeastLatency,         // LOA
  kEdgeOnly,             // ECO
  kServerOnly,           // SCO of any kind
  kRandom,               // RS
};

// A point in objective space.
struct ObjectivePoint {
  std::uint64_t latency_ns = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t energy_uj = 0;
  std::uint64_t cost_ueur = 0;
};

struct Decision {
  PlanStatus status = PlanStatus::kNoCandidates;
  Reason reason = Reason::kNone;
  std::uint16_t broken = 0;  // kInfeasible: union of the bounds that the policy's candidates break
  CandidateIndex index = kNoCandidate;  // the choice; kNoCandidate unless status is kOk
  std::uint16_t front_size = 0;         // entries of Outputs::front that are valid
  ObjectivePair objectives = {};        // of the front: those of the request
  std::uint64_t budget = 0;  // LMOS: the bound on f_j that was applied, in its unit; for kLiteral,
                             // which has none, the loosest there is (UINT64_MAX, or 0 bytes of
                             // memory). 0 for the baselines
  ObjectivePoint chosen = {};  // of the choice, predicted
  // Of the two objectives; 0 for the others. Valid when front_size > 0.
  ObjectivePoint ideal = {};  // best of each among the feasible candidates
  ObjectivePoint nadir = {};  // worst of each on the front: f_j where f_i is ideal, and f_i where
                              // f_j is
};

// Where plan() writes. Owned by the caller, each at least as long as the candidates; the content
// before the call does not matter.
struct Outputs {
  std::span<Score> scores;          // [candidate]
  std::span<CandidateIndex> front;  // first front_size entries, from the best f_j to the best f_i;
                                    // by default ascending in latency and in memory
};

// Scores every candidate, finds the exact Pareto front of the feasible ones and chooses. Candidates
// of all cuts, codecs and variants compete in one front: the search over them is joint.
//
// The front is complete and holds one candidate for each non-dominated point in objective space.
// Ties, here and in every choice, go to the smaller split, then the smaller cut, then fewer
// boundary bytes (median), then less disagreement, then the smaller variant, codec and index, so
// that the order of the span matters only between exact duplicates.
//
// When the policy finds nothing feasible (ECO over the RAM cap, SCO without a server) the status
// is kInfeasible and `front` is still valid: falling back is the caller's decision, made by a
// second call with another policy.
//
// Candidates may be read by several threads; outputs must not be shared. Uses under 1 KiB of stack.
// Errors: see PlanStatus; on kTooMany, kOutputTooSmall and kBadRequest nothing is written.
[[nodiscard]] Decision plan(std::span<const Candidate> candidates, const Conditions& conditions,
                            const Request& request, const Outputs& outputs);

}  // namespace cleave::planner
