// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "engine/importer/inspect.h"
#include "engine/importer/inspect_memory.h"

namespace cleave::importer {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const fbs::Shape& shape) {
  return {shape.height(), shape.width(), shape.channels()};
}

ordered_json to_json(const OpReport& op, std::size_t index) {
  return {{"index", index},
          {"name", op.name},
          {"kind", op.kind},
          {"inputs", op.inputs},
          {"output", op.output},
          {"output_shape", to_json(op.output_shape)},
          {"multiply_adds", op.multiply_adds},
          {"weight_bytes", op.weight_bytes}};
}

ordered_json to_json(const LayerReport& layer, std::size_t number) {
  return {{"k", number},
          {"name", layer.name},
          {"kind", layer.kind},
          {"first_op", layer.ops.first},
          {"end_op", layer.ops.last},
          {"multiply_adds", layer.multiply_adds},
          {"weight_bytes", layer.weight_bytes}};
}

ordered_json to_json(const CodedFigures& level) {
  return {{"disagreement_ppm",
           level.allowed_ppm ? ordered_json(*level.allowed_ppm) : ordered_json(nullptr)},
          {"median_bytes", level.median_bytes},
          {"p95_bytes", level.p95_bytes},
          {"compared_pictures", level.compared_pictures},
          {"differing_pictures", level.differing_pictures}};
}

ordered_json to_json(const CutReport& cut) {
  ordered_json json = {{"op_boundary", cut.cut.op_boundary},
                       {"layers_on_device", cut.layers_on_device},
                       {"is_split", cut.is_split},
                       {"boundary_tensors", cut.cut.boundary_tensors},
                       {"boundary_bytes", cut.cut.boundary_bytes},
                       {"head_multiply_adds", cut.head_multiply_adds},
                       {"head_weight_bytes", cut.head_weight_bytes},
                       {"head_arena_bytes", cut.head_memory.arena_bytes},
                       {"head_memory_bytes", cut.head_memory.total()}};
  for (const CodedFigures& level : cut.coded) json["coded"].push_back(to_json(level));
  return json;
}

ordered_json to_json(const VariantReport& variant) {
  ordered_json json = {{"name", variant.name},
                       {"precision", variant.precision},
                       {"input_shape", to_json(variant.input)},
                       {"output_shape", to_json(variant.output)},
                       {"multiply_adds", variant.multiply_adds},
                       {"weight_bytes", variant.weight_bytes},
                       {"arena_bytes", variant.arena_bytes}};
  json["layers"] = json["ops"] = json["cuts"] = ordered_json::array();
  for (const LayerReport& layer : variant.layers) {
    json["layers"].push_back(to_json(layer, json["layers"].size() + 1));
  }
  for (const OpReport& op : variant.ops) json["ops"].push_back(to_json(op, json["ops"].size()));
  for (const CutReport& cut : variant.cuts) json["cuts"].push_back(to_json(cut));
  if (variant.arena) json["memory"] = memory_json(variant);
  return json;
}

}  // namespace

std::string report_json(const ModelReport& report) {
  ordered_json json = {{"name", report.name},
                       {"source_format", report.source_format},
                       {"licence", report.licence},
                       {"identity", report.identity},
                       {"file_bytes", report.file_bytes},
                       {"preprocessing",
                        {{"color_order", report.color_order},
                         {"crop", report.crop},
                         {"crop_ppm", report.crop_ppm},
                         {"mean", report.mean},
                         {"deviation", report.deviation}}},
                       {"labels", report.labels},
                       {"has_self_test", report.has_self_test},
                       {"kernels", kernel_set_name()},
                       {"prefer", preference_name(report.preference)},
                       {"variants", ordered_json::array()}};
  for (const VariantReport& variant : report.variants) json["variants"].push_back(to_json(variant));
  return json.dump(2);
}

}  // namespace cleave::importer
