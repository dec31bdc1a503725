// SPDX-License-Identifier: Apache-2.0
//
// The table of codec Coded for one tensor from samples of it: classes of channels, centroids, and
// how often each question of each context is answered with yes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "engine/importer/coded_directions.h"

namespace cleave::importer {

// Of all values the root of the mean square, the largest magnitude, the share of zeros, and whether
// one is negative.
// Values that are not finite count as 0. int8 values count as they are held, from their zero point.
struct ValueScale {
  double rms = 0;
  double largest = 0;
  double zeros = 0;
  bool has_negative = false;
};
[[nodiscard]] ValueScale value_scale(const codec::BoundaryTensor& tensor,
                                     std::span<const std::span<const std::byte>> samples);

// Step, rounding, weight, sign and centroids; no contexts yet, as one class of channels. Enough for
// CodedQuantizer. The step is `step` as nearly as a table can say it.
[[nodiscard]] codec::CodedTensorTable quantizer_table(
    const codec::BoundaryTensor& tensor, std::span<const std::span<const std::byte>> samples,
    double step, bool has_sign);

// The same by way of a transform. REQUIRES: an f32 tensor to which a transform of this side
// applies; directions found for it; `steps` of each sum and difference and each direction.
[[nodiscard]] codec::CodedTensorTable transform_table(
    const codec::BoundaryTensor& tensor, std::span<const std::span<const std::byte>> samples,
    const CodedDirections& directions, std::size_t side, std::span<const double> steps);

// Adds classes of channels and contexts to such a table, from about 8 million values: some samples
// of large tensors, all of others. Where it has a weight, levels are chosen twice by what was found
// before, and centroids and contexts are then those of these levels.
void add_contexts(const codec::BoundaryTensor& tensor,
                  std::span<const std::span<const std::byte>> samples,
                  codec::CodedTensorTable& table);

}  // namespace cleave::importer
