// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>

#include <array>
#include <utility>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostRows = 8;
constexpr std::size_t kColumns = 8;

// One step of depth for all rows; the lane must be a constant.
template <std::size_t kRows, int kLane>
inline void step(const float32x4_t (&a)[kRows], const float* b, float32x4_t (&left)[kRows],
                 float32x4_t (&right)[kRows]) {
  const float32x4_t b_left = vld1q_f32(b + kLane * kColumns);
  const float32x4_t b_right = vld1q_f32(b + kLane * kColumns + 4);
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
    left[row] = vfmaq_laneq_f32(left[row], b_left, a[row], kLane);
    right[row] = vfmaq_laneq_f32(right[row], b_right, a[row], kLane);
  }
}

template <std::size_t kRows>
void multiply(std::size_t depth_blocks, const float* a, const float* b, const float* next_b,
              float* c, std::size_t c_stride) {
  float32x4_t left[kRows];
  float32x4_t right[kRows];
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) left[row] = right[row] = vdupq_n_f32(0);
  for (std::size_t block = 0; block < depth_blocks; ++block, a += kRows * kGemmDepthBlock) {
    for (std::size_t d = 0; d < kGemmDepthBlock;
         d += 4, b += 4 * kColumns, next_b += 4 * kColumns) {
      __builtin_prefetch(next_b);
      __builtin_prefetch(next_b + 2 * kColumns);
      float32x4_t values[kRows];
#pragma GCC unroll 8
      for (std::size_t row = 0; row < kRows; ++row) {
        values[row] = vld1q_f32(a + row * kGemmDepthBlock + d);
      }
      step<kRows, 0>(values, b, left, right);
      step<kRows, 1>(values, b, left, right);
      step<kRows, 2>(values, b, left, right);
      step<kRows, 3>(values, b, left, right);
    }
  }
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
    vst1q_f32(c + row * c_stride, left[row]);
    vst1q_f32(c + row * c_stride + 4, right[row]);
  }
}

using Multiply = void(std::size_t, const float*, const float*, const float*, float*, std::size_t);

template <std::size_t... kRows>
constexpr std::array<Multiply*, sizeof...(kRows)> by_rows(std::index_sequence<kRows...>) {
  return {multiply<kRows + 1>...};
}

}  // namespace

void f32_gemm_8x8_neon(std::size_t rows, std::size_t depth_blocks, const float* a, const float* b,
                       const float* next_b, float* c, std::size_t c_stride) {
  static constexpr auto kMultiply = by_rows(std::make_index_sequence<kMostRows>{});
  kMultiply[rows - 1](depth_blocks, a, b, next_b, c, c_stride);
}

}  // namespace cleave::kernels
