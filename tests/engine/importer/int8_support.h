// SPDX-License-Identifier: Apache-2.0
//
// What the tests of int8 variants share: small networks of pictures, and their calibration.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/importer/calibrate.h"
#include "engine/importer/graph.h"
#include "engine/importer/importer.h"
#include "engine/importer/synthetic_picture.h"

namespace cleave::test {

// Of every channel: pixels become values in [-1, 1].
inline constexpr float kPixelMean = 127.5F;

// Fused and lowered, taking pictures.
inline importer::Graph compiled(importer::Graph graph) {
  graph.preprocessing.mean.assign(3, kPixelMean);
  graph.preprocessing.deviation.assign(3, kPixelMean);
  const Status status = importer::compile(graph);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return graph;
}

// By generated pictures.
inline importer::Calibration calibrated(const importer::Graph& graph) {
  const auto file = importer::build_model_file(graph);
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  auto calibration = importer::calibrate(*file, {});
  REQUIRE_MESSAGE(calibration.is_ok(), calibration.status().message());
  return std::move(*calibration);
}

// A generated picture as a compiled network takes it. Seeds 0 to 15 are what calibrated() sees.
inline std::vector<float> generated_input(const importer::Graph& graph, std::uint64_t seed) {
  const importer::Hwc& shape = graph.values[graph.input].shape;
  std::vector<float> input;
  for (const std::uint8_t pixel :
       importer::synthetic_picture(fbs::Shape(shape.height, shape.width, shape.channels), seed)) {
    input.push_back((static_cast<float>(pixel) - kPixelMean) / kPixelMean);
  }
  return input;
}

}  // namespace cleave::test
