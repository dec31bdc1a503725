// SPDX-License-Identifier: Apache-2.0
//
// What a model file holds and what each cut would cost, as `cleave-import inspect` shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/arena_map.h"
#include "engine/codec/boundary_codec.h"
#include "engine/cuts.h"
#include "engine/head_memory.h"
#include "engine/preference.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::importer {

struct OpReport {
  std::string name;
  std::string kind;
  std::vector<TensorId> inputs;
  TensorId output = 0;
  fbs::Shape output_shape;
  // Of one picture: convolutions and fully connected ops, as the literature counts them.
  std::uint64_t multiply_adds = 0;
  std::uint64_t weight_bytes = 0;
};

struct LayerReport {
  std::string name;
  std::string kind;
  OpRange ops;  // empty when its work is fused into an op of an earlier layer, or it has none
  std::uint64_t multiply_adds = 0;
  std::uint64_t weight_bytes = 0;
};

// A cut with the costs of its head; one picture.
struct CutReport {
  Cut cut;
  std::uint32_t layers_on_device = 0;  // the largest k whose boundary is at or before this cut
  bool is_split = false;               // a layer ends here (or it is k = 0)
  std::uint64_t head_multiply_adds = 0;
  std::uint64_t head_weight_bytes = 0;
  HeadMemory head_memory;
  std::vector<CodedFigures> coded;  // of each level of codec Coded; none without a table
};

struct VariantReport {
  std::string name;
  std::string precision;
  fbs::Shape input, output;
  std::vector<OpReport> ops;
  std::vector<LayerReport> layers;
  std::vector<CutReport> cuts;  // ops.size() + 1
  std::uint64_t multiply_adds = 0;
  std::uint64_t weight_bytes = 0;
  std::uint64_t arena_bytes = 0;  // the whole network
  std::optional<ArenaMap> arena;  // of the head that InspectOptions::memory_of names
};

struct ModelReport {
  std::string name, source_format, licence, identity;
  std::uint64_t file_bytes = 0;
  std::string color_order, crop;
  std::uint32_t crop_ppm = 0;
  std::vector<float> mean, deviation;
  std::vector<std::string> labels;
  bool has_self_test = false;
  Preference preference = Preference::kSpeed;  // that memory is shown for
  std::vector<VariantReport> variants;
};

struct InspectOptions {
  std::optional<std::string>
      memory_of;  // a split as --split takes it: fill in VariantReport::arena
  Preference preference = Preference::kSpeed;  // of the runs whose memory is shown
};

// Errors: those of plan_head_memory() (an op that this engine cannot run), and of parse_split().
[[nodiscard]] Result<ModelReport> inspect_model(const ModelFile& file,
                                                const InspectOptions& options = {});

// Tables for a person, lines ended by '\n'.
[[nodiscard]] std::string report_text(const ModelReport& report);
// The same and everything else as one JSON object, indented.
[[nodiscard]] std::string report_json(const ModelReport& report);

}  // namespace cleave::importer
