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
//      fills them in;
//   2. plan() scores them for the present link and caps, finds the exact Pareto front of latency
//      against edge memory, and chooses one by the policy asked for;
//   3. Hysteresis (hysteresis.h) says whether the choice is worth a switch now.
//
// Source of the objectives and of Algorithm 1: Jain et al., "Latency-Memory Optimized Splitting of
// Convolution Neural Networks for Resource Constrained Edge Devices" (LMOS), arXiv:2107.09123.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace cleave::planner {

// 512 cuts x 8 codecs x 3 variants.
inline constexpr std::size_t kMaxCandidates = 512 * 8 * 3;

// Position of a candidate in the caller's span.
using CandidateIndex = std::uint16_t;
inline constexpr CandidateIndex kNoCandidate = std::numeric_limits<CandidateIndex>::max();

// One way of running one picture. Everything here is independent of the present link and caps.
struct Candidate {
  std::uint32_t cut = 0;              // op boundary c: ops [0, c) run on the device
  std::uint16_t split = 0;            // split_point k: layers wholly on the device, 0..L
  std::uint8_t codec = 0;             // how the boundary tensors travel; opaque here
  std::uint8_t variant = 0;           // precision of the model; opaque here
  bool needs_server = true;           // false at k = L: nothing is sent, no server time is counted
  std::uint64_t boundary_bytes = 0;   // U: coded bytes that cross the link
  std::uint64_t edge_latency_ns = 0;  // T_edge: input, head and encode
  std::uint64_t server_latency_ns = 0;   // T_server: decode, tail and queue
  std::uint64_t edge_memory_bytes = 0;   // f2: memory of the head itself; the same for each codec
  std::uint64_t edge_ram_bytes = 0;      // all RAM the process needs; what Caps::ram_bytes bounds
  std::uint64_t edge_storage_bytes = 0;  // what the device keeps on disk for this head
};

// The link as measured (link_estimator.h) or as given by the user.
struct Link {
  std::uint64_t bandwidth_bps = 0;  // goodput up, bit/s; 0 means that nothing gets through
  std::uint64_t rtt_ns = 0;         // one round trip of a small message
  bool available = false;           // a server answers and accepts this model
};

// What the device may use. The defaults bound nothing.
struct Caps {
  std::uint64_t ram_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t storage_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint16_t min_split = 0;  // privacy floor: at least this many layers stay on the device
};

// The bounds that a candidate breaks, as bits of Score::broken and Decision::broken.
enum Bound : std::uint8_t {
  kBoundNone = 0,
  kBoundRam = 1 << 0,
  kBoundStorage = 1 << 1,
  kBoundServerAbsent = 1 << 2,  // needs a server; link unavailable or its bandwidth is 0
  kBoundPrivacyFloor = 1 << 3,  // split < min_split
};

// A candidate under the present link and caps.
struct Score {
  std::uint64_t latency_ns = 0;    // f1 = T_edge + T_tx + T_server; minimized
  std::uint64_t memory_bytes = 0;  // f2; maximized
  std::uint64_t tx_ns = 0;         // T_tx, part of latency_ns
  std::uint8_t broken = 0;         // bits of Bound; 0 means feasible
  bool on_front = false;           // one of the Pareto front that plan() returned
};

// The two objectives. Problem: minimize (f1, -f2) over the feasible candidates.
enum class Objective : std::uint8_t {
  kLatency = 1,     // f1, smaller is better
  kEdgeMemory = 2,  // f2, larger is better
};

enum class Policy : std::uint8_t {
  kLmos,         // a point of the front, by Rank
  kLatencyOnly,  // LOA: least latency
  kEdgeOnly,     // ECO: least latency among those that need no server
  kServerOnly,   // SCO: least latency among those with k = 0 that need a server
  kRandom,       // RS: uniform over the feasible candidates, by Request::seed
};

// How LMOS picks its point from the front.
enum class Rank : std::uint8_t {
  // Deepest (most edge memory) within best latency x Request::latency_factor. The default.
  kWithinFactor,
  // Deepest within Request::latency_budget_ns; the least latency when nothing is that fast.
  kWithinBudget,
  // Algorithm 1 as published: i is the objective that is not Request::constrained, j is
  // Request::constrained, and the point ranked best in f_i is returned. With the published i = 2,
  // j = 1 that is the deepest feasible non-dominated split whatever the bandwidth.
  kLiteral,
};

// A positive fraction; denominator 0 is refused.
struct Ratio {
  std::uint32_t numerator = 1;
  std::uint32_t denominator = 1;
};

// Up to a tenth slower than the fastest is given up for a deeper head, unless told otherwise.
inline constexpr Ratio kDefaultLatencyFactor{11, 10};

// What is asked of plan(). Fields that the policy or rank does not name are ignored.
struct Request {
  Policy policy = Policy::kLmos;
  Rank rank = Rank::kWithinFactor;
  Ratio latency_factor = kDefaultLatencyFactor;  // kWithinFactor; at least 1
  std::uint64_t latency_budget_ns = 0;           // kWithinBudget
  Objective constrained = Objective::kLatency;   // kLiteral: j
  std::uint64_t seed = 0;                        // kRandom; change it for each request
};

enum class PlanStatus : std::uint8_t {
  kOk,
  kInfeasible,      // every candidate the policy may choose breaks a bound: see Decision::broken
  kNoCandidates,    // the span is empty, or the policy has no candidate to choose from
  kTooMany,         // more than kMaxCandidates
  kOutputTooSmall,  // scores or front shorter than candidates
  kBadRequest,      // a Ratio with denominator 0 or below 1, or an unknown enumerator
};

// Why the chosen candidate was chosen.
enum class Reason : std::uint8_t {
  kNone,                 // nothing was chosen
  kDeepestWithinBudget,  // most edge memory with latency <= budget_ns
  kNothingWithinBudget,  // no candidate is that fast: the least latency instead
  kLiteralRank,          // Algorithm 1, ranked by the unconstrained objective
  kLeastLatency,         // LOA
  kEdgeOnly,             // ECO
  kServerOnly,           // SCO
  kRandom,               // RS
};

// A point in objective space.
struct ObjectivePoint {
  std::uint64_t latency_ns = 0;
  std::uint64_t memory_bytes = 0;
};

struct Decision {
  PlanStatus status = PlanStatus::kNoCandidates;
  Reason reason = Reason::kNone;
  std::uint8_t broken = 0;  // kInfeasible: union of the bounds that the policy's candidates break
  CandidateIndex index = kNoCandidate;  // the choice; kNoCandidate unless status is kOk
  std::uint16_t front_size = 0;         // entries of Outputs::front that are valid
  std::uint64_t latency_ns = 0;         // of the choice, predicted
  std::uint64_t memory_bytes = 0;       // of the choice
  std::uint64_t budget_ns = 0;          // LMOS: the latency bound that was applied; UINT64_MAX
                                        // for kLiteral, which has none; 0 for the baselines
  ObjectivePoint ideal;                 // best of each objective among the feasible candidates
  ObjectivePoint nadir;  // worst of each objective on the front: f1 where f2 is ideal, and f2
                         // where f1 is ideal. Both points are valid when front_size > 0.
};

// Where plan() writes. Owned by the caller, each at least as long as the candidates; the content
// before the call does not matter.
struct Outputs {
  std::span<Score> scores;          // [candidate]
  std::span<CandidateIndex> front;  // first front_size entries: ascending latency and memory
};

// Scores every candidate, finds the exact Pareto front of the feasible ones and chooses.
//
// The front is complete and holds one candidate for each non-dominated point in objective space.
// Ties, here and in every choice, go to the smaller split, then the smaller cut, then fewer
// boundary bytes, then the smaller variant, codec and index, so that the order of the span matters
// only between exact duplicates.
//
// When the policy finds nothing feasible (ECO over the RAM cap, SCO without a server) the status
// is kInfeasible and `front` is still valid: falling back is the caller's decision, made by a
// second call with another policy.
//
// Candidates may be read by several threads; outputs must not be shared. Uses under 1 KiB of stack.
// Errors: see PlanStatus; on kTooMany, kOutputTooSmall and kBadRequest nothing is written.
[[nodiscard]] Decision plan(std::span<const Candidate> candidates, const Link& link,
                            const Caps& caps, const Request& request, const Outputs& outputs);

}  // namespace cleave::planner
