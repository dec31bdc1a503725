// SPDX-License-Identifier: Apache-2.0
//
// From measured tables to candidates.
//
//   profile of the device, table of the server, cuts, codings --build_candidates()--> Candidate
//
// Done once per model and profile; score.h does the rest at every plan().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

// One op boundary that may be chosen. What it says holds for every codec, but for what a Coding
// adds.
struct CutCost {
  std::uint32_t op_boundary = 0;         // c, 0..N
  std::uint16_t split = 0;               // k, 0..L
  std::uint64_t boundary_bytes = 0;      // of the boundary tensors as they are in memory
  std::uint64_t edge_fixed_ns = 0;       // on the device besides ops: decode, resize, normalize
  std::uint64_t edge_memory_bytes = 0;   // f2: packed weights of the head and its arena
  std::uint64_t edge_ram_bytes = 0;      // the above, pooled link buffers and fixed overhead
  std::uint64_t edge_storage_bytes = 0;  // segments and packed weights kept on disk
};

// One way of sending the boundary tensors of one cut. At k = 0 the picture's file is a coding too,
// with the server's picture decoding as its decode_ns, and so is a JPEG of each quality at model
// size.
struct Coding {
  std::uint32_t cut_index = 0;  // into CostTable::cuts
  std::uint8_t codec = 0;
  std::uint64_t coded_bytes = 0;       // median
  std::uint64_t coded_bytes_p95 = 0;   // at least the median: less counts as that
  std::uint64_t encode_ns = 0;         // on the device
  std::uint64_t decode_ns = 0;         // on the server
  std::uint32_t disagreement_ppm = 0;  // of variant and codec together, against the exact model
  std::uint64_t edge_ram_bytes = 0;    // on the device beside what the cut takes
  bool is_jpeg = false;                // the picture's file as it is, at k = 0
};

// The tables of one variant. All spans are read only and owned by the caller.
struct CostTable {
  std::span<const std::uint64_t> edge_op_ns;    // [N] measured, or from literal_op_ns()
  std::span<const std::uint64_t> server_op_ns;  // [N] of the server, or from literal_op_ns()
  std::span<const CutCost> cuts;                // strictly ascending by op_boundary
  std::span<const Coding> codings;     // ascending by cut_index; empty: every cut sends its
                                       // boundary_bytes as they are, codec 0, at no cost
  std::uint64_t server_fixed_ns = 0;   // work of every request that reaches the server: dispatch;
                                       // the queue is Link::server_queue_ns
  std::uint32_t disagreement_ppm = 0;  // of the variant alone; a coding counts as at least that
  std::uint8_t variant = 0;
};

enum class BuildStatus : std::uint8_t {
  kOk,
  kOpCountMismatch,  // edge_op_ns and server_op_ns differ in length
  kCutOutOfRange,    // an op_boundary beyond N, or a cut_index beyond cuts
  kNotAscending,     // cuts or codings out of order
  kTooMany,          // more candidates than `out` holds, or than kMaxCandidates
};

struct Built {
  BuildStatus status = BuildStatus::kOk;
  std::size_t count = 0;  // candidates written; 0 unless status is kOk
};

// Writes a candidate for each coding of each cut below N, in that order, then, if N is among the
// cuts, the one candidate that needs no server (codings of that cut are ignored).
//
// edge_latency = edge_fixed + sum of edge_op_ns[0, c) + encode;
// server_latency = decode + server_fixed + sum of server_op_ns[c, N); sums saturate.
// For a model of several variants, once for each, into what is left of one span: plan() then
// chooses among all of them.
// O(N + candidates), no allocation. On an error the content of `out` is unspecified.
[[nodiscard]] Built build_candidates(const CostTable& table, std::span<Candidate> out);

// A processor as the paper describes it.
struct Processor {
  std::uint32_t cores = 1;     // C
  std::uint64_t clock_hz = 0;  // S; 0 makes every time saturate
};

// T = X / (C * S), in ns, rounded up: the paper's computation time of X multiply-adds (one a cycle
// and core). The fallback where no profile was measured.
[[nodiscard]] std::uint64_t literal_compute_ns(std::uint64_t multiply_adds,
                                               const Processor& processor);

// literal_compute_ns() of each op, such that the sum over any prefix equals the formula applied to
// that prefix: rounding does not add up. REQUIRES: out is at least as long as multiply_adds.
void literal_op_ns(std::span<const std::uint64_t> multiply_adds, const Processor& processor,
                   std::span<std::uint64_t> out);

}  // namespace cleave::planner
