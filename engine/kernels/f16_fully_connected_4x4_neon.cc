// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>

#include "engine/kernels/fully_connected_rows.h"
#include "engine/kernels/half.h"

namespace cleave::kernels {
namespace {

struct F16Lanes {
  using Weight = std::uint16_t;
  using Vector = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static Vector zero() { return vdupq_n_f32(0); }
  static Vector load(const float* from) { return vld1q_f32(from); }
  static Vector load_weights(const Weight* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
  }
  static constexpr std::size_t kGroup = 2;
  static void load_weights(const Weight* from, Vector (&group)[kGroup]) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(from));
    group[0] = vcvt_f32_f16(vget_low_f16(halves));
    group[1] = vcvt_high_f32_f16(halves);
  }
  static Vector fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
  static void store(float* to, Vector value) { vst1q_f32(to, value); }
  static float widen(Weight weight) { return half_to_float(weight); }
};

}  // namespace

void f16_fully_connected_4x4_neon(const FullyConnectedRows& layer, std::size_t first,
                                  std::size_t last) {
  fully_connected_rows<F16Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
