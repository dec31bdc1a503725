// SPDX-License-Identifier: Apache-2.0
//
// Four lanes, as the kernel templates see them. Only for files that are compiled for
// NEON.
#pragma once

#include <arm_neon.h>

#include <cstddef>

namespace cleave::kernels {

struct NeonVector {
  static constexpr std::size_t kLanes = 4;
  float32x4_t value;

  static NeonVector load(const float* from) { return {vld1q_f32(from)}; }
  static NeonVector all(float value) { return {vdupq_n_f32(value)}; }
  void store(float* to) const { vst1q_f32(to, value); }
  friend NeonVector operator+(NeonVector a, NeonVector b) { return {vaddq_f32(a.value, b.value)}; }
  friend NeonVector operator-(NeonVector a, NeonVector b) { return {vsubq_f32(a.value, b.value)}; }
  friend NeonVector fma(NeonVector a, NeonVector b, NeonVector c) {
    return {vfmaq_f32(c.value, a.value, b.value)};
  }
  friend NeonVector clamp(NeonVector x, NeonVector low, NeonVector high) {
    return {vminq_f32(vmaxq_f32(x.value, low.value), high.value)};
  }
};

}  // namespace cleave::kernels
