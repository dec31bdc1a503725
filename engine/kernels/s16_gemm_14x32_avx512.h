// SPDX-License-Identifier: Apache-2.0
//
// The loops of s16_gemm_14x32, for both ways to add products of pairs. Only for files that are
// compiled for AVX-512.
//
// Pairs: `static __m512i add(__m512i sum, __m512i a, __m512i b)`: to each of 16 sums the products
// of two neighbours in a and b.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {

// The sums of a few blocks, stored or added to c. A function of its own keeps them in registers.
template <class Pairs, std::size_t kRows>
[[gnu::noinline]] void add_s16_blocks(std::size_t depth_blocks, const std::int16_t* a,
                                      const std::int16_t* b, const std::int16_t* next_b,
                                      const float* scales, bool is_first, float* c,
                                      std::size_t c_stride) {
  constexpr std::size_t kLanes = 16;   // columns of a vector
  constexpr std::size_t kVector = 32;  // numbers of a vector
  // Arrays of __m512i, whose elements are 64 bits wide, GCC 12 keeps in memory.
  using Sums [[gnu::vector_size(64)]] = std::int32_t;
  Sums left[kRows];
  Sums right[kRows];
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) left[row] = right[row] = Sums{};
  for (std::size_t block = 0; block < depth_blocks; ++block, a += kRows * kGemmDepthBlock) {
    for (std::size_t d = 0; d < kGemmDepthBlock; d += 2, b += 2 * kVector, next_b += 2 * kVector) {
      _mm_prefetch(next_b, _MM_HINT_T1);
      _mm_prefetch(next_b + kVector, _MM_HINT_T1);
      const __m512i b_left = _mm512_load_si512(b);
      const __m512i b_right = _mm512_load_si512(b + kVector);
#pragma GCC unroll 16
      for (std::size_t row = 0; row < kRows; ++row) {
        std::int32_t pair;
        std::memcpy(&pair, a + row * kGemmDepthBlock + d, sizeof pair);
        const __m512i value = _mm512_set1_epi32(pair);
        left[row] = Sums(Pairs::add(__m512i(left[row]), value, b_left));
        right[row] = Sums(Pairs::add(__m512i(right[row]), value, b_right));
      }
    }
  }
  const __m512 scale_left = _mm512_loadu_ps(scales);
  const __m512 scale_right = _mm512_loadu_ps(scales + kLanes);
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) {
    float* to = c + row * c_stride;
    const __m512 before_left = is_first ? _mm512_setzero_ps() : _mm512_load_ps(to);
    const __m512 before_right = is_first ? _mm512_setzero_ps() : _mm512_load_ps(to + kLanes);
    _mm512_store_ps(
        to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(__m512i(left[row])), scale_left, before_left));
    _mm512_store_ps(to + kLanes, _mm512_fmadd_ps(_mm512_cvtepi32_ps(__m512i(right[row])),
                                                 scale_right, before_right));
  }
}

template <class Pairs, std::size_t kRows>
void multiply_s16(std::size_t, std::size_t depth_blocks, const std::int16_t* a,
                  const std::int16_t* b, const std::int16_t* next_b, const float* scales, float* c,
                  std::size_t c_stride) {
  constexpr std::size_t kColumns = 32;
  for (std::size_t first = 0; first < depth_blocks; first += kS16GemmSumBlocks) {
    const std::size_t at = first * kGemmDepthBlock;
    add_s16_blocks<Pairs, kRows>(std::min(kS16GemmSumBlocks, depth_blocks - first), a + at * kRows,
                                 b + at * kColumns, next_b + at * kColumns, scales, first == 0, c,
                                 c_stride);
  }
}

template <class Pairs, std::size_t... kRows>
constexpr std::array<S16GemmPanel*, sizeof...(kRows)> s16_by_rows(std::index_sequence<kRows...>) {
  return {multiply_s16<Pairs, kRows + 1>...};
}

template <class Pairs>
void s16_gemm_14x32(std::size_t rows, std::size_t depth_blocks, const std::int16_t* a,
                    const std::int16_t* b, const std::int16_t* next_b, const float* scales,
                    float* c, std::size_t c_stride) {
  static constexpr auto kMultiply = s16_by_rows<Pairs>(std::make_index_sequence<14>{});
  kMultiply[rows - 1](rows, depth_blocks, a, b, next_b, scales, c, c_stride);
}

}  // namespace cleave::kernels
