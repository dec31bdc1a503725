// SPDX-License-Identifier: Apache-2.0
//
// Checks quantization parameters of the model file.
#pragma once

#include <cstdint>
#include <span>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// `extents` are the dimensions of what is quantized, slowest first. `quantization` may be null.
[[nodiscard]] Status check_quantization(const fbs::Quantization* quantization,
                                        std::span<const std::uint32_t> extents);

}  // namespace cleave
