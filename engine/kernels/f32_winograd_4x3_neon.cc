// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>

#include "engine/kernels/winograd_4x3.h"

namespace cleave::kernels {
namespace {

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

}  // namespace

void f32_winograd_input_4x3_neon(const WinogradPatch& patch, const float* pixels, float* values,
                                 std::size_t position_stride) {
  winograd_4x3::transform_input<NeonVector>(patch, pixels, values, position_stride);
}

void f32_winograd_output_4x3_neon(const float* products, std::size_t position_stride,
                                  const WinogradPatch& patch, const float* bias, float minimum,
                                  float maximum, float* pixels) {
  winograd_4x3::transform_output<NeonVector>(products, position_stride, patch, bias, minimum,
                                             maximum, pixels);
}

}  // namespace cleave::kernels
