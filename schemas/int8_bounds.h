// SPDX-License-Identifier: Apache-2.0
//
// Bounds of the scales in an int8 variant, for those who write one and those who check it.
#pragma once

#include <cmath>
#include <limits>

namespace cleave {

// A scale is a positive number, and not subnormal: those are flushed to zero while ops run.
inline constexpr float kLeastScale = std::numeric_limits<float>::min();
inline bool is_scale(float scale) { return std::isnormal(scale) && scale > 0; }

// Bounds of int8 scales, as kernels hold their ratios in so many bits: of an input of a sum by its
// output, of a converted tensor by the new one, of input * kernel by output of a convolution.
inline constexpr float kLeastSumRatio = 0x1p-10F, kSumRatioBelow = 0x1p+8F;
inline constexpr float kLeastConvertRatio = 0x1p-8F, kConvertRatioBelow = 0x1p+7F;
inline constexpr float kLeastKernelRatio = 0x1p-32F, kKernelRatioBelow = 0x1p+8F;

}  // namespace cleave
