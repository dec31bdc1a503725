// SPDX-License-Identifier: Apache-2.0
//
// The plan of each picture, from what the pictures before it showed: how fast the link is, how far
// the tables of device and server are off, how long the server lets requests wait, and whether a
// change of the split is worth it yet.
//
// There is no clock, socket or engine in here: whatever a decision depends on comes in as an
// argument, so that a trace of the arguments gives the same decisions again (decision_trace.h).
// Not safe for use by several threads at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/fading.h"
#include "agent/record.h"
#include "agent/split_planner.h"
#include "planner/hysteresis.h"
#include "planner/link_estimator.h"
#include "schemas/status.h"

namespace cleave::agent {

struct OnlineOptions {
  planner::Request request;  // policy and rank; its seed is that of the first decision
  FrontPick pick = FrontPick::kByRank;
  planner::EnergyModel energy;   // zeros: energies are 0
  planner::Prices prices;        // zeros: costs are 0
  planner::Link initial_link;    // what is believed before the first transfer
  bool keep_link = false;        // the user gave the bandwidth: it is not estimated
  bool keep_rtt = false;         // the user gave the round trip: it is not measured
  std::uint64_t timeout_ns = 0;  // of a picture; a split that is expected to take longer is not
                                 // tried if the device can answer
  // One step of an unused link's estimate back to the initial belief (planner/link_estimator.h),
  // and of an unused server's or head's back to its table (fading.h). 0: nothing fades.
  std::uint64_t link_drift_ns = 30'000'000'000;
};

// A handshake that has just succeeded.
struct HandshakeSeen {
  std::uint64_t rtt_ns = 0;
  std::vector<std::uint64_t> op_ns;  // the server's table of this variant; empty: it sent none
  std::uint64_t input_ns = 0;        // decoding a picture there
  // Decoding each codec of SplitPlanner::codecs() there; empty: it says nothing of them.
  std::vector<std::uint64_t> decode_ns = {};
  bool takes_codecs = true;       // it decodes them
  bool takes_model_jpegs = true;  // and JPEGs at model size
};

// What a decision depends on besides what was observed before.
struct Situation {
  std::uint64_t now_ns = 0;  // of a monotonic clock
  PictureCost picture;       // JPEG: the server takes it as it is
  std::uint64_t file_bytes = 0;
  planner::Caps caps;         // with what the picture itself holds taken off
  bool has_server = false;    // one was named
  bool reached = false;       // it is there now
  std::string unreached_why;  // else why not
};

// What one picture really took. 0: that part did not happen, or was not measured.
struct Outcome {
  std::uint64_t now_ns = 0;
  std::uint32_t op_boundary = 0;   // of the split that ran
  std::uint64_t file_bytes = 0;    // of the picture
  bool decoded = false;            // on the device; else it was only read
  std::uint64_t input_ns = 0;      // reading it; if decoded, with resizing and normalizing
  std::uint64_t head_ns = 0;       // ops [0, op_boundary) on the device
  std::uint64_t bytes_up = 0;      // whole frames
  std::uint64_t link_ns = 0;       // the wait less the server's residence
  bool sent_jpeg = false;          // the file as it is
  CodecChoice codec = {};          // of tensors, or a JPEG at model size, that were sent
  std::uint64_t residence_ns = 0;  // in the server: the parts below, and what is around them
  std::uint64_t decode_ns = 0;
  std::uint64_t compute_ns = 0;
};

struct Choice {
  Split split;
  bool sends_file = false;  // at k = 0: the JPEG as it is, else pixels, or a JPEG made of them
  CodecChoice codec = {};   // of that JPEG, or of what crosses another split
  std::string fallback;     // why the server is not asked, though one was named; else empty
  // The bounds on latency, energy and cost that even this split is expected to break, when every
  // split does ("deadline, energy budget"); else empty.
  std::string bounds_missed;
  PartTimes predicted;
};

// `caps` without the bounds that a picture may break if it must: deadline, energy and cost.
[[nodiscard]] planner::Caps without_soft_bounds(const planner::Caps& caps);
// The policy that finds the fastest of what `policy` allows.
[[nodiscard]] planner::Policy fastest_of(planner::Policy policy);

class DecisionTrace;

class OnlinePlanner {
 public:
  // `splits` has the device's table (or needs none: a fixed split) and must outlive this; so must
  // `trace`, which is told of every call, or null.
  OnlinePlanner(SplitPlanner* splits, const OnlineOptions& options, DecisionTrace* trace = nullptr);

  // The server's table, as it is of this model or empty, and a new round trip.
  // Errors: kMismatch (the table is of other ops).
  Status take_handshake(const HandshakeSeen& seen);

  // The device's clock or cores are others now: its table is scaled, and what was learned of its
  // old speed forgotten.
  void take_speed(const DeviceSpeed& now);

  // Decides. When every split breaks the deadline, the energy budget or the cost bound, the fastest
  // within the other bounds is taken: predictions may be wrong, and only what runs corrects them.
  // Errors: kResourceExhausted (no split is within the other bounds), kUnavailable (none without
  // the server, which is not there); the message says which bound.
  [[nodiscard]] Result<Choice> choose(const Situation& situation);

  // What a split is expected to take now, at k = 0 as `codec` if that is of a JPEG at model size;
  // zeros when nothing can be said (no tables, no server).
  [[nodiscard]] PartTimes predict(const Situation& situation, const Split& split,
                                  const CodecChoice& codec = {}) const;

  // Learns from a picture that is done.
  void observe(const Outcome& outcome);

  // The present estimate of the link; `reached`: whether the server is there.
  [[nodiscard]] planner::Link link_at(std::uint64_t now_ns, bool reached) const;
  // What the tables are corrected by at that time, for a picture of that size.
  [[nodiscard]] TableCorrections corrections_for(std::uint64_t file_bytes,
                                                 std::uint64_t now_ns) const;

 private:
  // A plan with a choice, the request that it is of, and why it is without the server.
  struct Found {
    Plan plan;
    planner::Request request;
    std::string fallback;
  };

  Result<Choice> decide(const Situation& situation);
  Result<Choice> decide_among(const Situation& situation, Found found);
  // `found.request` is given.
  Status find_plan(const Situation& situation, Found& found) const;
  Status without_server(const Situation& situation, Found& found) const;
  [[nodiscard]] Plan plan_of(const Situation& situation, const planner::Link& link,
                             const planner::Request& request) const;
  [[nodiscard]] std::size_t settle(const Plan& plan, planner::Policy policy, std::uint64_t now_ns);
  [[nodiscard]] bool is_past_timeout(const PlannedSplit& row) const;
  [[nodiscard]] std::uint64_t idle_steps(std::uint64_t now_ns) const;
  void observe_device(const Outcome& outcome);
  void observe_server(const Outcome& outcome);

  SplitPlanner* splits_;
  const OnlineOptions options_;
  DecisionTrace* trace_;
  planner::LinkEstimator link_;
  std::uint64_t handshake_rtt_ns_ = 0;
  std::uint64_t last_transfer_ns_ = 0;
  planner::Hysteresis hysteresis_;
  std::uint64_t seed_;
  // Each is seen, or not, by itself: a server that is asked with tensors decodes nothing.
  FadingCorrection edge_ops_;
  FadingCorrection server_ops_;
  FadingMedian input_ns_per_mib_;   // of file, on the device
  FadingMedian decode_ns_per_mib_;  // of file, on the server
  FadingMedian file_ns_;            // only reading it
  FadingMedian server_queue_ns_;    // and dispatch
};

// Whether an absent server is all that keeps `plan` from a split that `policy` may choose.
bool only_server_is_missing(const Plan& plan, planner::Policy policy);

}  // namespace cleave::agent
