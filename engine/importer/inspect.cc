// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/inspect.h"

#include <algorithm>

#include "engine/multiply_adds.h"
#include "engine/weights.h"
#include "schemas/op_shape.h"

namespace cleave::importer {
namespace {

const fbs::Shape& shape_of(const fbs::Variant& variant, TensorId tensor) {
  return *variant.tensors()->Get(tensor)->shape();
}

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? "" : text->str(); }

OpReport report_op(const fbs::Variant& variant, const fbs::Op& op) {
  OpReport report;
  report.name = text_of(op.name());
  report.kind = op_kind_name(op);
  report.inputs.assign(op.inputs()->begin(), op.inputs()->end());
  report.output = op.output();
  report.output_shape = shape_of(variant, op.output());
  report.multiply_adds = cleave::multiply_adds(variant, op);
  report.weight_bytes = weight_bytes(op);
  return report;
}

std::vector<LayerReport> report_layers(const fbs::Model& model, const fbs::Variant& variant,
                                       const std::vector<OpReport>& ops) {
  std::vector<LayerReport> layers;
  OpIndex begin = 0;
  for (std::uint32_t i = 0; i < model.layers()->size(); ++i) {
    LayerReport layer;
    layer.name = text_of(model.layers()->Get(i)->name());
    layer.kind = text_of(model.layers()->Get(i)->kind());
    layer.ops = {begin, variant.layer_end_ops()->Get(i)};
    for (OpIndex op = layer.ops.first; op < layer.ops.last; ++op) {
      layer.multiply_adds += ops[op].multiply_adds;
      layer.weight_bytes += ops[op].weight_bytes;
    }
    begin = layer.ops.last;
    layers.push_back(std::move(layer));
  }
  return layers;
}

Result<std::vector<CutReport>> report_cuts(const fbs::Model& model, std::uint32_t index,
                                           const std::vector<OpReport>& ops,
                                           Preference preference) {
  const std::vector<Split> splits = list_splits(model, index);
  auto split = splits.begin();
  std::vector<CutReport> cuts;
  std::uint64_t adds = 0, weights = 0;
  std::vector<Cut> found = find_cuts(model, index);
  std::vector<OpIndex> boundaries;
  for (const Cut& cut : found) boundaries.push_back(cut.op_boundary);
  CLEAVE_ASSIGN_OR_RETURN(const auto heads, plan_head_memory(model, index, boundaries, preference));
  for (Cut& cut : found) {
    CutReport report;
    while (std::next(split) != splits.end() && std::next(split)->op_boundary <= cut.op_boundary) {
      ++split;
    }
    report.layers_on_device = split->layers_on_device;
    report.is_split = split->op_boundary == cut.op_boundary;
    if (cut.op_boundary > 0) {
      adds += ops[cut.op_boundary - 1].multiply_adds;
      weights += ops[cut.op_boundary - 1].weight_bytes;
    }
    report.head_multiply_adds = adds;
    report.head_weight_bytes = weights;
    report.head_memory = heads[cut.op_boundary];
    report.cut = std::move(cut);
    cuts.push_back(std::move(report));
  }
  return cuts;
}

Result<VariantReport> report_variant(const ModelFile& file, std::uint32_t index,
                                     Preference preference) {
  const fbs::Model& model = file.header();
  const fbs::Variant& variant = *model.variants()->Get(index);
  VariantReport report;
  report.name = text_of(variant.name());
  report.precision = fbs::EnumNamePrecision(variant.precision());
  report.input = shape_of(variant, variant.input());
  report.output = shape_of(variant, variant.output());
  for (const fbs::Op* op : *variant.ops()) report.ops.push_back(report_op(variant, *op));
  report.layers = report_layers(model, variant, report.ops);
  CLEAVE_ASSIGN_OR_RETURN(report.cuts, report_cuts(model, index, report.ops, preference));
  for (CutReport& cut : report.cuts) {
    CLEAVE_ASSIGN_OR_RETURN(cut.coded, coded_figures(file, index, cut.cut.op_boundary));
  }
  report.multiply_adds = report.cuts.back().head_multiply_adds;
  report.weight_bytes = report.cuts.back().head_weight_bytes;
  report.arena_bytes = report.cuts.back().head_memory.arena_bytes;
  return report;
}

}  // namespace

Result<ModelReport> inspect_model(const ModelFile& file, const InspectOptions& options) {
  const fbs::Model& model = file.header();
  const fbs::Preprocessing& preprocessing = *model.preprocessing();
  ModelReport report;
  report.name = text_of(model.name());
  report.source_format = text_of(model.source_format());
  report.licence = text_of(model.licence());
  report.identity = to_hex(file.identity());
  report.file_bytes = file.file_bytes();
  report.color_order = fbs::EnumNameColorOrder(preprocessing.color_order());
  report.crop = fbs::EnumNameCrop(preprocessing.crop());
  report.crop_ppm = preprocessing.crop_ppm();
  report.mean.assign(preprocessing.mean()->begin(), preprocessing.mean()->end());
  report.deviation.assign(preprocessing.deviation()->begin(), preprocessing.deviation()->end());
  if (model.labels() != nullptr) {
    for (const flatbuffers::String* label : *model.labels()) report.labels.push_back(label->str());
  }
  report.has_self_test = model.self_test() != nullptr;
  report.preference = options.preference;
  for (std::uint32_t i = 0; i < model.variants()->size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(VariantReport variant, report_variant(file, i, options.preference));
    if (options.memory_of) {
      CLEAVE_ASSIGN_OR_RETURN(const Split split, parse_split(model, i, *options.memory_of));
      CLEAVE_ASSIGN_OR_RETURN(variant.arena,
                              map_arena(*model.variants()->Get(i), {0, split.op_boundary}, 1,
                                        OutputPlace::kCaller, options.preference));
    }
    report.variants.push_back(std::move(variant));
  }
  return report;
}

}  // namespace cleave::importer
