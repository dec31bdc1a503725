// SPDX-License-Identifier: Apache-2.0
//
// Small steps that several TFLite operator handlers take. Private to the tflite_ops_*.cc files.
#pragma once

#include <cstdint>

#include "engine/importer/tflite_import.h"

namespace cleave::importer {

// A window extent, stride or dilation: 1 to 4096. Errors: kCorrupt.
[[nodiscard]] inline Result<std::uint32_t> window_extent(std::int64_t extent) {
  if (extent < 1 || extent > 4096) {
    return Status(StatusCode::kCorrupt,
                  "window, stride or dilation of " + std::to_string(extent) + " is out of range");
  }
  return static_cast<std::uint32_t>(extent);
}

// Reads input 2, when there is one, as the bias of `node`, whose kernel_quantization is set. A
// quantized bias without a scale has input scale * kernel scale, as the format defines it.
// (tflite_ops_fully_connected.cc)
[[nodiscard]] Status read_bias(TfliteImport& import, const TfliteOperator& op, Node& node);

}  // namespace cleave::importer
