// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/variants.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/importer/calibrate.h"
#include "engine/importer/equalize.h"
#include "engine/importer/quantize.h"

namespace cleave::importer {
namespace {

// More say little new and take their time.
constexpr std::size_t kMostCalibrationPictures = 256;

Status invalid(const char* message) { return {StatusCode::kInvalidArgument, message}; }

Status check(const Graph& graph, const VariantOptions& options) {
  if (!options.f32 && !options.f16 && !options.int8) {
    return invalid("--no-f32 leaves nothing: give --f16 or --int8 as well");
  }
  if (options.calibration_folder && !options.int8) return invalid("--calibrate is for --int8");
  const std::uint32_t channels = graph.values[graph.input].shape.channels;
  if (options.int8 && channels != 1 && channels != 3) {
    return invalid("--int8 needs a network that takes pictures, to see what its values are");
  }
  return Status::ok();
}

Result<Calibration> calibrate_graph(const Graph& graph, std::span<const std::string> pictures) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> file, build_model_file(graph));
  return calibrate(file, pictures);
}

// Biases are corrected by what is known of the channels, but not by generated pictures.
void forget_channels(Calibration& calibration) {
  for (std::vector<ChannelRange>& channels : calibration.channels) channels.clear();
}

Result<Graph> make_int8(const Graph& graph, const VariantOptions& options) {
  std::vector<std::string> pictures;
  if (options.calibration_folder) {
    auto found = list_calibration_pictures(*options.calibration_folder, kMostCalibrationPictures);
    if (!found.is_ok()) return found.status().with_context("--calibrate");
    pictures = std::move(found).value();
  }
  CLEAVE_ASSIGN_OR_RETURN(Calibration calibration, calibrate_graph(graph, pictures));
  if (pictures.empty()) {
    forget_channels(calibration);
    return quantize(graph, calibration, ScaleSource::kSourceFirst);
  }
  Graph equalized = graph;
  if (equalize(equalized, calibration)) {
    CLEAVE_ASSIGN_OR_RETURN(calibration, calibrate_graph(equalized, pictures));
  }
  return quantize(equalized, calibration, ScaleSource::kRangesOnly);
}

}  // namespace

Result<Variants> Variants::make(const Graph& graph, const VariantOptions& options) {
  CLEAVE_RETURN_IF_ERROR(check(graph, options));
  Variants variants(graph);
  variants.options_ = options;
  if (options.int8) {
    CLEAVE_ASSIGN_OR_RETURN(variants.int8_, make_int8(graph, options));
  }
  return variants;
}

std::vector<VariantGraph> Variants::list() const {
  std::vector<VariantGraph> list;
  if (options_.f32) list.push_back({"f32", Precision::kF32, graph_});
  if (options_.f16) list.push_back({"f16", Precision::kF16, graph_});
  if (int8_) list.push_back({"int8", Precision::kInt8, &*int8_});
  return list;
}

}  // namespace cleave::importer
