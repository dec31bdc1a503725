// SPDX-License-Identifier: Apache-2.0
//
// One function for each codec; BoundaryCodec::create() calls them, and calibration. `boundary` is
// what crosses the cut, taken from a checked model. Errors: kUnsupported (the codec does not apply
// to these tensors), kResourceExhausted.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/codec/boundary_codec.h"

namespace cleave::codec {

struct BoundaryTensor {
  fbs::DType dtype = fbs::DType::F32;  // F32 or S8
  std::int32_t zero_point = 0;         // S8: of what its integers mean
  std::size_t positions = 0;           // height * width
  std::size_t width = 1;
  std::size_t channels = 0;  // the fastest to vary
  [[nodiscard]] bool is_f32() const { return dtype == fbs::DType::F32; }
  [[nodiscard]] std::size_t elements() const { return positions * channels; }
  [[nodiscard]] std::size_t bytes() const { return elements() * (is_f32() ? 4 : 1); }
};

// In the order of the cut.
using Boundary = std::vector<BoundaryTensor>;

// What crosses a cut. REQUIRES: variant and cut are the model's.
[[nodiscard]] Boundary boundary_at(const fbs::Model& model, std::uint32_t variant, OpIndex cut);

struct CodedQuality;  // coded_table.h

using Created = Result<std::unique_ptr<BoundaryCodec>>;

Created make_raw_codec(const Boundary& boundary);
Created make_lossless_codec(const Boundary& boundary);
Created make_f16_codec(const Boundary& boundary);
Created make_int8_codec(const Boundary& boundary);
// REQUIRES: what read_coded_table() gave for this boundary.
Created make_coded_codec(const Boundary& boundary, const CodedQuality& quality);

}  // namespace cleave::codec
