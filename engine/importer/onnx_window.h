// SPDX-License-Identifier: Apache-2.0
//
// The attributes that ONNX's Conv and pooling share: kernel_shape, strides, dilations, pads,
// auto_pad and, for pooling, ceil_mode.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/importer/graph.h"
#include "engine/importer/onnx_attributes.h"
#include "schemas/status.h"

namespace cleave::importer {

struct OnnxWindow {
  Window2D window;
  Padding2D padding;  // as the source says it
  // Trailing rows and columns beyond the padding that ceil_mode's last windows reach into.
  std::uint32_t overflow_bottom = 0, overflow_right = 0;
};

// `kernel_extents`: height and width when they follow from the weights, else empty.
// Errors: kUnsupported (not 2-D, negative padding), kCorrupt.
Result<OnnxWindow> read_onnx_window(OnnxAttributes& attributes, const Hwc& input,
                                    std::vector<std::int64_t> kernel_extents);

}  // namespace cleave::importer
