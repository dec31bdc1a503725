// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <array>
#include <utility>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostRows = 14;
constexpr std::size_t kColumns = 32;
constexpr std::size_t kLanes = 16;

template <std::size_t kRows>
void multiply(std::size_t depth_blocks, const float* a, const float* b, const float* next_b,
              float* c, std::size_t c_stride) {
  __m512 left[kRows];
  __m512 right[kRows];
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) left[row] = right[row] = _mm512_setzero_ps();
  for (std::size_t block = 0; block < depth_blocks; ++block, a += kRows * kGemmDepthBlock) {
    for (std::size_t d = 0; d < kGemmDepthBlock; ++d, b += kColumns, next_b += kColumns) {
      _mm_prefetch(next_b, _MM_HINT_T1);
      _mm_prefetch(next_b + kLanes, _MM_HINT_T1);
      const __m512 b_left = _mm512_load_ps(b);
      const __m512 b_right = _mm512_load_ps(b + kLanes);
#pragma GCC unroll 16
      for (std::size_t row = 0; row < kRows; ++row) {
        const __m512 value = _mm512_set1_ps(a[row * kGemmDepthBlock + d]);
        left[row] = _mm512_fmadd_ps(value, b_left, left[row]);
        right[row] = _mm512_fmadd_ps(value, b_right, right[row]);
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) {
    _mm512_store_ps(c + row * c_stride, left[row]);
    _mm512_store_ps(c + row * c_stride + kLanes, right[row]);
  }
}

using Multiply = void(std::size_t, const float*, const float*, const float*, float*, std::size_t);

template <std::size_t... kRows>
constexpr std::array<Multiply*, sizeof...(kRows)> by_rows(std::index_sequence<kRows...>) {
  return {multiply<kRows + 1>...};
}

}  // namespace

void f32_gemm_14x32_avx512(std::size_t rows, std::size_t depth_blocks, const float* a,
                           const float* b, const float* next_b, float* c, std::size_t c_stride) {
  static constexpr auto kMultiply = by_rows(std::make_index_sequence<kMostRows>{});
  kMultiply[rows - 1](depth_blocks, a, b, next_b, c, c_stride);
}

}  // namespace cleave::kernels
