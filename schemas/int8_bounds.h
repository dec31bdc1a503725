// SPDX-License-Identifier: Apache-2.0
//
// Bounds of the scales in an int8 variant, for those who write one and those who check it.
#pragma once

namespace cleave {

// Bounds of int8 scales, as kernels hold their ratios in so many bits: of an input of a sum by its
// output, of a converted tensor by the new one, of input * kernel by output of a convolution.
inline constexpr float kLeastSumRatio = 0x1p-10F, kSumRatioBelow = 0x1p+8F;
inline constexpr float kLeastConvertRatio = 0x1p-8F, kConvertRatioBelow = 0x1p+7F;
inline constexpr float kLeastKernelRatio = 0x1p-32F, kKernelRatioBelow = 0x1p+8F;

}  // namespace cleave
