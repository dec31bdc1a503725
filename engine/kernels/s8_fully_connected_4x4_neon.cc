// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>

#include <cstring>

#include "engine/kernels/fully_connected_rows.h"

namespace cleave::kernels {
namespace {

struct S8Lanes {
  using Weight = std::int8_t;
  using Vector = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static Vector zero() { return vdupq_n_f32(0); }
  static Vector load(const float* from) { return vld1q_f32(from); }
  static Vector load_weights(const Weight* from) {
    // Four bytes: a load of eight could pass the end of the weights.
    std::int32_t four;
    std::memcpy(&four, from, sizeof(four));
    const int8x8_t bytes = vreinterpret_s8_s32(vdup_n_s32(four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
  }
  static constexpr std::size_t kGroup = 4;
  static void load_weights(const Weight* from, Vector (&group)[kGroup]) {
    // Each byte to the top of its lane: the conversion from fixed point divides by 2^24, exactly.
    // (An index beyond the table gives zero.)
    alignas(16) static constexpr std::uint8_t kTops[kGroup][16] = {
        {255, 255, 255, 0, 255, 255, 255, 1, 255, 255, 255, 2, 255, 255, 255, 3},
        {255, 255, 255, 4, 255, 255, 255, 5, 255, 255, 255, 6, 255, 255, 255, 7},
        {255, 255, 255, 8, 255, 255, 255, 9, 255, 255, 255, 10, 255, 255, 255, 11},
        {255, 255, 255, 12, 255, 255, 255, 13, 255, 255, 255, 14, 255, 255, 255, 15}};
    const int8x16_t bytes = vld1q_s8(from);
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroup; ++g) {
      const int8x16_t tops = vqtbl1q_s8(bytes, vld1q_u8(kTops[g]));
      group[g] = vcvtq_n_f32_s32(vreinterpretq_s32_s8(tops), 24);
    }
  }
  static Vector fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
  static void store(float* to, Vector value) { vst1q_f32(to, value); }
  static float widen(Weight weight) { return static_cast<float>(weight); }
};

}  // namespace

void s8_fully_connected_4x4_neon(const FullyConnectedRows& layer, std::size_t first,
                                 std::size_t last) {
  fully_connected_rows<S8Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
