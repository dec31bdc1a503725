// SPDX-License-Identifier: Apache-2.0
//
// Between the model, the measured tables and the planner library: builds the planner's candidates
// from what this device, this server and this link are now, and explains the decision.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/cut_codecs.h"
#include "agent/time_scale.h"
#include "engine/codec/boundary_codec.h"
#include "engine/cuts.h"
#include "engine/head_memory.h"
#include "planner/correction.h"
#include "planner/cost_model.h"
#include "planner/planner.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// What can cross at k = 0 besides u8 pixels and JPEGs at model size: of a JPEG that the server
// takes the file.
struct PictureCost {
  bool is_jpeg = false;
  std::uint64_t file_bytes = 0;      // of this picture, or the median of several
  std::uint64_t file_bytes_p95 = 0;  // of several; less than the median counts as that
};

// What requests really took, on top of the tables. As it is: the tables are believed.
struct TableCorrections {
  std::optional<std::uint64_t> edge_input_ns =
      std::nullopt;                // of this picture, instead of input_ns()
  std::uint64_t edge_file_ns = 0;  // reading the file, where nothing else is done with it here
  planner::Correction edge_ops = {};
  planner::Correction server_ops = {};
  std::optional<std::uint64_t> server_decode_ns =
      std::nullopt;  // of this picture, instead of server_input_ns()
};

// The device's times as they were measured, and how fast it was then.
struct EdgeTable {
  std::vector<std::uint64_t> op_ns;
  std::uint64_t input_ns = 0;  // decoding and resizing a picture
  std::uint32_t threads = 1;
  DeviceSpeed speed;
};

// One split with what it costs; a row of `cleave-agent plan`. k = 0 has one for each form in which
// the picture can be sent, another split one for each codec that may be chosen.
struct PlannedSplit {
  std::uint32_t variant = 0;  // index in the model
  std::string variant_name;   // empty where one variant alone is planned with
  Split split;
  std::string layer;  // name of the last layer on the device; empty at k = 0
  planner::Candidate candidate;
  planner::Score score;
  std::uint64_t bytes_up = 0;  // that the score counts
  CodecChoice sent_as = {};    // raw: tensors, pixels or a file as they are

  // What crosses at k = 0, for a person; empty where no picture does.
  [[nodiscard]] const char* picture_form() const;
  // Of the tensors that cross, or of a JPEG at model size; raw for what goes as it is.
  [[nodiscard]] CodecChoice codec() const { return sent_as; }
};

// What of the front is taken, where the planner's own ranks are not asked.
enum class FrontPick : std::uint8_t {
  kByRank,  // planner::Request says
  kKnee,    // where more latency stops paying
  kBest,    // the best in the objective that is optimized
};

struct Plan {
  planner::Decision decision;
  // Every distinct split of each variant, ascending; k = 0 first as pixels, then the file, the
  // others first raw.
  std::vector<PlannedSplit> splits;
  std::vector<std::size_t> front;  // indices in splits, ascending in the constrained objective
  // For each split that is feasible and not on the front: the first of the front that dominates it.
  // Without a value also where the front has its equal.
  std::vector<std::optional<std::size_t>> dominated_by;
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

  // How what crosses the cuts may be coded, in the place of what was said before: each codec is a
  // row of its own, and its memory and output count as RAM. JPEGs at model size are those of cut 0,
  // beside pixels and file. What the server takes to decode is not known until its next table.
  // Errors: kMismatch (of a cut where no layer ends; a JPEG at another cut than 0, anything else
  // there), with nothing changed.
  Status use_codecs(const CutCodecs& codecs);
  [[nodiscard]] const CutCodecs& codecs() const { return codecs_; }
  // Whether a JPEG at model size of that quality is among them.
  [[nodiscard]] bool offers_model_jpeg(std::uint8_t quality) const;
  // Whether the server decodes them; else everything is planned raw. It does, unless told.
  void set_server_takes_codecs(bool takes) { server_takes_codecs_ = takes; }
  // Whether it takes JPEGs at model size; likewise.
  void set_server_takes_model_jpegs(bool takes) { server_takes_model_jpegs_ = takes; }
  // What a plan counts for decoding `choice` at a cut: what the server's table says, of a JPEG at
  // model size else the time of a picture. 0: nothing.
  [[nodiscard]] std::uint64_t codec_decode_ns(OpIndex op_boundary, const CodecChoice& choice) const;

  // The process has grown since create(): every split needs so much more RAM.
  void add_overhead(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t fixed_overhead_bytes() const { return fixed_overhead_bytes_; }

  // The device's own table, and the server's when there is one. Errors: kMismatch when a table is
  // not of this variant.
  Status set_edge_profile(const ProfileData& profile);
  Status set_server_profile(const ProfileData& profile);
  // The same, of this variant's ops. Errors: kMismatch.
  Status set_edge_table(const EdgeTable& table);
  // `decode_ns`: one for each codec, as decode_ns_in() has them; empty: not known.
  Status set_server_table(const std::vector<std::uint64_t>& op_ns, std::uint64_t input_ns,
                          const std::vector<std::uint64_t>& decode_ns = {});
  [[nodiscard]] bool server_table_is(const std::vector<std::uint64_t>& op_ns,
                                     std::uint64_t input_ns,
                                     const std::vector<std::uint64_t>& decode_ns = {}) const {
    return op_ns == server_op_ns_ && input_ns == server_input_ns_ && decode_ns == decode_ns_;
  }
  // This variant's table in a profile; empty when there is none.
  [[nodiscard]] std::vector<std::uint64_t> op_ns_in(const ProfileData& profile) const;
  // What a server's profile says of decoding each codec of codecs(), in their order; 0: nothing.
  // Empty when it says nothing of any.
  [[nodiscard]] std::vector<std::uint64_t> decode_ns_in(const ProfileData& profile) const;
  [[nodiscard]] bool has_server_profile() const { return !server_op_ns_.empty(); }
  // How fast the device is now: the times of its table are scaled from the speed at which they were
  // measured. What is not known on either side scales nothing.
  void set_device_speed(const DeviceSpeed& now);
  [[nodiscard]] const DeviceSpeed& measured_speed() const { return measured_.speed; }
  [[nodiscard]] const DeviceSpeed& device_speed() const { return speed_; }
  [[nodiscard]] TimeScale edge_scale() const {
    return time_scale(measured_.speed, speed_, measured_.threads);
  }
  // Decoding and resizing a picture on this device, as fast as it is now.
  [[nodiscard]] std::uint64_t input_ns() const { return input_ns_; }
  [[nodiscard]] std::uint64_t server_input_ns() const { return server_input_ns_; }
  [[nodiscard]] const EdgeTable& edge_table() const { return measured_; }
  // By the tables, without corrections: ops [0, op_boundary) here, and [op_boundary, N) on the
  // server (0 without its table). REQUIRES: op_boundary <= N.
  [[nodiscard]] std::uint64_t edge_ops_ns(OpIndex op_boundary) const;
  [[nodiscard]] std::uint64_t server_ops_ns(OpIndex op_boundary) const;
  // The whole network on the server, with or without decoding a picture there. REQUIRES: there is a
  // server's table.
  [[nodiscard]] std::uint64_t server_only_ns(bool decodes) const;

  // Decides for one picture. An infeasible request has no `chosen`, and `why` names the bound.
  // `pick` is for the policy LMOS.
  [[nodiscard]] Plan decide(const PictureCost& picture, const planner::Conditions& conditions,
                            const planner::Request& request,
                            const TableCorrections& corrections = {},
                            FrontPick pick = FrontPick::kByRank) const;

  // The same, among the splits of several variants of one model, each with its tables. Without the
  // first one's table of the server there is no server; of another without it only the split that
  // needs none is there. `variants` must not be empty.
  [[nodiscard]] static Plan decide_among(std::span<const SplitPlanner* const> variants,
                                         const PictureCost& picture,
                                         const planner::Conditions& conditions,
                                         const planner::Request& request,
                                         const TableCorrections& corrections = {},
                                         FrontPick pick = FrontPick::kByRank);

  // How often this variant's best class is another than the exact one's: held to
  // Caps::disagreement_ppm. 0 unless set.
  void set_disagreement_ppm(std::uint32_t ppm) { disagreement_ppm_ = ppm; }
  [[nodiscard]] std::uint32_t disagreement_ppm() const { return disagreement_ppm_; }
  [[nodiscard]] const std::string& variant_name() const { return variant_name_; }
  [[nodiscard]] std::uint32_t variant() const { return variant_; }

  // Whether the weights of ops [0, op_boundary) are on this device: those of a model folder need
  // not be. A split without them takes UINT64_MAX bytes of storage.
  [[nodiscard]] bool holds(OpIndex op_boundary) const;

  // RAM that the process needs to finish alone after a cut at this boundary: the whole network's
  // weights, the whole network's arena for the tail's, and what the head still holds. UINT64_MAX
  // when those weights are not here.
  [[nodiscard]] std::uint64_t ram_bytes_to_finish(OpIndex op_boundary) const;
  // What running ops [0, op_boundary) here needs, for a boundary of a split; for one between two
  // splits, that of the deeper. RAM is with the codec that takes most.
  [[nodiscard]] const planner::CutCost& cost_at(OpIndex op_boundary) const;
  [[nodiscard]] const std::vector<Split>& splits() const { return splits_; }

 private:
  // Codings with what they are here, one for one.
  struct Forms {
    std::vector<planner::Coding> codings;
    std::vector<CodecChoice> choices;
    void add(const planner::Coding& coding, const CodecChoice& choice = {}) {
      codings.push_back(coding);
      choices.push_back(choice);
    }
  };
  [[nodiscard]] Forms forms_of(const PictureCost& picture,
                               const TableCorrections& corrections) const;
  void append_pictures(std::uint32_t index, const PictureCost& picture,
                       const TableCorrections& corrections, Forms& forms) const;
  [[nodiscard]] std::uint64_t said_decode_ns(OpIndex op_boundary, const CodecChoice& choice) const;
  void append_codecs(std::uint32_t index, Forms& forms) const;
  void append_rows(const PictureCost& picture, bool server, const TableCorrections& corrections,
                   std::vector<PlannedSplit>& rows) const;
  [[nodiscard]] std::size_t most_rows() const;
  [[nodiscard]] std::size_t index_of(OpIndex op_boundary) const;

  std::vector<Split> splits_;
  std::vector<std::string> layers_;          // per split
  std::vector<planner::CutCost> cuts_;       // without codecs
  std::vector<planner::CutCost> most_cuts_;  // with the codec that takes most
  std::vector<HeadMemory> heads_;            // per split
  // Where the codecs of a split are.
  struct SplitCodecs {
    std::optional<std::size_t> cut;  // of codecs_; without one as it is alone
    std::size_t first = 0;           // of decode_ns_
  };
  CutCodecs codecs_;
  std::vector<SplitCodecs> split_codecs_;  // per split
  bool server_takes_codecs_ = true;
  bool server_takes_model_jpegs_ = true;
  OpIndex held_ops_ = 0;
  void scale_edge_times();

  EdgeTable measured_;
  DeviceSpeed speed_;
  std::vector<std::uint64_t> edge_op_ns_;  // the same as fast as the device is now
  std::vector<std::uint64_t> server_op_ns_;
  std::vector<std::uint64_t> decode_ns_;  // of each codec, on the server; empty: not known
  std::uint64_t input_ns_ = 0;            // on the device
  std::uint64_t server_input_ns_ = 0;     // decoding a picture on the server
  std::uint64_t fixed_overhead_bytes_ = 0;
  std::uint64_t pixel_bytes_ = 0;  // u8 at model size
  std::string variant_name_;
  std::uint32_t variant_ = 0;
  std::uint32_t disagreement_ppm_ = 0;
};

// "RAM", "storage", "no server" and so on, joined, of planner::Bound bits.
std::string bounds_text(std::uint16_t broken);

}  // namespace cleave::agent
