// SPDX-License-Identifier: Apache-2.0
//
// One function for each codec; BoundaryCodec::create() is their only caller. `boundary` is what
// crosses the cut, taken from a checked model. Errors: kUnsupported (the codec does not apply to
// these tensors), kResourceExhausted.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/codec/boundary_codec.h"

namespace cleave::codec {

struct BoundaryTensor {
  fbs::DType dtype = fbs::DType::F32;  // F32 or S8
  std::size_t positions = 0;           // height * width
  std::size_t channels = 0;            // the fastest to vary
  [[nodiscard]] bool is_f32() const { return dtype == fbs::DType::F32; }
  [[nodiscard]] std::size_t elements() const { return positions * channels; }
  [[nodiscard]] std::size_t bytes() const { return elements() * (is_f32() ? 4 : 1); }
};

// In the order of the cut.
using Boundary = std::vector<BoundaryTensor>;

using Created = Result<std::unique_ptr<BoundaryCodec>>;

Created make_raw_codec(const Boundary& boundary);
Created make_lossless_codec(const Boundary& boundary);
Created make_f16_codec(const Boundary& boundary);
Created make_int8_codec(const Boundary& boundary);

}  // namespace cleave::codec
