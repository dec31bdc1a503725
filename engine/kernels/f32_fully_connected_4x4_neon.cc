// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>

#include "engine/kernels/fully_connected_rows.h"

namespace cleave::kernels {
namespace {

struct F32Lanes {
  using Weight = float;
  using Vector = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static Vector zero() { return vdupq_n_f32(0); }
  static Vector load(const float* from) { return vld1q_f32(from); }
  static Vector load_weights(const Weight* from) { return vld1q_f32(from); }
  static Vector fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
  static void store(float* to, Vector value) { vst1q_f32(to, value); }
  static float widen(Weight weight) { return weight; }
};

}  // namespace

void f32_fully_connected_4x4_neon(const FullyConnectedRows& layer, std::size_t first,
                                  std::size_t last) {
  fully_connected_rows<F32Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
