// SPDX-License-Identifier: Apache-2.0
//
// What rounding to int8 adds to the sums that a convolution computes, foretold from calibration.
#pragma once

#include <span>
#include <vector>

#include "engine/importer/calibration.h"
#include "engine/importer/graph.h"

namespace cleave::importer {

// Rounding errors are taken to be even over a step, and independent of one another: a value errs by
// step^2 / 12 in every channel, and what it is summed from adds its own.
class RoundingNoise {
 public:
  // Both must outlive it. REQUIRES: lower(graph) succeeded; `calibration` is of it.
  RoundingNoise(const Graph& graph, const Calibration& calibration);

  // The variance of the errors in the outputs of a convolution or fully connected layer over that
  // of the outputs, when each channel of its input is multiplied by a factor and its kernel is
  // divided by it: errors of the input count less, those of the kernel's rounding change.
  [[nodiscard]] double of_node(const Node& node, std::span<const float> factors) const;

 private:
  const Graph& graph_;
  const Calibration& calibration_;
  std::vector<double> variance_;  // of each value's errors
};

}  // namespace cleave::importer
