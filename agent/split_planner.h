// SPDX-License-Identifier: Apache-2.0
//
// Between the model, the measured tables and the planner library: builds the planner's candidates
// from what this device, this server and this link are now, and explains the decision.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/device_caps.h"
#include "engine/cuts.h"
#include "engine/head_memory.h"
#include "planner/cost_model.h"
#include "planner/planner.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// What crosses at k = 0 for one picture: the JPEG as it came, or u8 pixels at model size.
struct PictureCost {
  bool is_jpeg = false;
  std::uint64_t file_bytes = 0;
};

// One split with what it costs; a row of `cleave-agent plan`.
struct PlannedSplit {
  Split split;
  std::string layer;  // name of the last layer on the device; empty at k = 0
  planner::Candidate candidate;
  planner::Score score;
};

struct Plan {
  planner::Decision decision;
  std::vector<PlannedSplit> splits;   // every distinct split, ascending
  std::vector<std::size_t> front;     // indices in splits, ascending latency and memory
  std::optional<std::size_t> chosen;  // index in splits
  std::string why;                    // one sentence
};

class SplitPlanner {
 public:
  // Computes memory and storage of every split once. `fixed_overhead_bytes` is what the process
  // holds besides (its RSS before any weights are packed). RAM of a split is that, the picture at
  // model size, and the memory of the head. With a weight cache, storage counts what it keeps of
  // the head beside the head's part of the model file. `preference`: that of the weights to come.
  static Result<SplitPlanner> create(const ModelFile& model, std::uint32_t variant,
                                     std::uint64_t fixed_overhead_bytes,
                                     bool has_weight_cache = false,
                                     Preference preference = Preference::kSpeed);

  // The device's own table, and the server's when there is one. Errors: kMismatch when a table is
  // not of this variant.
  Status set_edge_profile(const ProfileData& profile);
  Status set_server_profile(const ProfileData& profile);
  [[nodiscard]] bool has_server_profile() const { return !server_op_ns_.empty(); }
  // Decoding and resizing a picture on this device.
  [[nodiscard]] std::uint64_t input_ns() const { return input_ns_; }
  // The whole network on the server, with or without decoding a picture there. REQUIRES: there is a
  // server's table.
  [[nodiscard]] std::uint64_t server_only_ns(bool decodes) const;

  // Decides for one picture. An infeasible request has no `chosen`, and `why` names the bound.
  [[nodiscard]] Plan decide(const PictureCost& picture, const planner::Link& link,
                            const planner::Caps& caps, const planner::Request& request) const;

  // RAM that the process needs to finish alone after a cut at this boundary: the whole network's
  // weights, the whole network's arena for the tail's, and what the head still holds.
  [[nodiscard]] std::uint64_t ram_bytes_to_finish(OpIndex op_boundary) const;
  // What running ops [0, op_boundary) here needs, for a boundary of a split; for one between two
  // splits, that of the deeper.
  [[nodiscard]] const planner::CutCost& cost_at(OpIndex op_boundary) const;
  [[nodiscard]] const std::vector<Split>& splits() const { return splits_; }

 private:
  std::vector<Split> splits_;
  std::vector<std::string> layers_;  // per split
  std::vector<planner::CutCost> cuts_;
  std::vector<HeadMemory> heads_;  // per split
  std::vector<std::uint64_t> edge_op_ns_;
  std::vector<std::uint64_t> server_op_ns_;
  std::uint64_t input_ns_ = 0;         // on the device
  std::uint64_t server_input_ns_ = 0;  // decoding a picture on the server
  std::uint64_t pixel_bytes_ = 0;      // u8 at model size
  std::string variant_name_;
};

// "RAM", "storage", "server", "privacy floor" joined, of planner::Bound bits.
std::string bounds_text(std::uint8_t broken);

}  // namespace cleave::agent
