// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostRows = 6;
constexpr std::size_t kColumns = 16;
constexpr std::size_t kLanes = 8;    // columns of a vector
constexpr std::size_t kVector = 16;  // numbers of a vector

void store(__m256i sum, __m256 scale, bool is_first, float* to) {
  const __m256 before = is_first ? _mm256_setzero_ps() : _mm256_load_ps(to);
  _mm256_store_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, before));
}

// The sums of a few blocks, stored or added to c. A function of its own keeps them in registers.
template <std::size_t kRows>
[[gnu::noinline]] void add_blocks(std::size_t depth_blocks, const std::int16_t* a,
                                  const std::int16_t* b, const std::int16_t* next_b,
                                  const float* scales, bool is_first, float* c,
                                  std::size_t c_stride) {
  // Arrays of __m256i, whose elements are 64 bits wide, GCC 12 keeps in memory.
  using Sums [[gnu::vector_size(32)]] = std::int32_t;
  Sums left[kRows];
  Sums right[kRows];
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) left[row] = right[row] = Sums{};
  for (std::size_t block = 0; block < depth_blocks; ++block, a += kRows * kGemmDepthBlock) {
    for (std::size_t d = 0; d < kGemmDepthBlock; d += 2, b += 2 * kVector, next_b += 2 * kVector) {
      _mm_prefetch(next_b, _MM_HINT_T1);
      const __m256i b_left = _mm256_load_si256(reinterpret_cast<const __m256i*>(b));
      const __m256i b_right = _mm256_load_si256(reinterpret_cast<const __m256i*>(b + kVector));
#pragma GCC unroll 16
      for (std::size_t row = 0; row < kRows; ++row) {
        std::int32_t pair;
        std::memcpy(&pair, a + row * kGemmDepthBlock + d, sizeof pair);
        const __m256i value = _mm256_set1_epi32(pair);
        left[row] += Sums(_mm256_madd_epi16(value, b_left));
        right[row] += Sums(_mm256_madd_epi16(value, b_right));
      }
    }
  }
  const __m256 scale_left = _mm256_loadu_ps(scales);
  const __m256 scale_right = _mm256_loadu_ps(scales + kLanes);
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kRows; ++row) {
    store(__m256i(left[row]), scale_left, is_first, c + row * c_stride);
    store(__m256i(right[row]), scale_right, is_first, c + row * c_stride + kLanes);
  }
}

template <std::size_t kRows>
void multiply(std::size_t depth_blocks, const std::int16_t* a, const std::int16_t* b,
              const std::int16_t* next_b, const float* scales, float* c, std::size_t c_stride) {
  for (std::size_t first = 0; first < depth_blocks; first += kS16GemmSumBlocks) {
    const std::size_t at = first * kGemmDepthBlock;
    add_blocks<kRows>(std::min(kS16GemmSumBlocks, depth_blocks - first), a + at * kRows,
                      b + at * kColumns, next_b + at * kColumns, scales, first == 0, c, c_stride);
  }
}

using Multiply = void(std::size_t, const std::int16_t*, const std::int16_t*, const std::int16_t*,
                      const float*, float*, std::size_t);

template <std::size_t... kRows>
constexpr std::array<Multiply*, sizeof...(kRows)> by_rows(std::index_sequence<kRows...>) {
  return {multiply<kRows + 1>...};
}

}  // namespace

void s16_gemm_6x16_avx2(std::size_t rows, std::size_t depth_blocks, const std::int16_t* a,
                        const std::int16_t* b, const std::int16_t* next_b, const float* scales,
                        float* c, std::size_t c_stride) {
  static constexpr auto kMultiply = by_rows(std::make_index_sequence<kMostRows>{});
  kMultiply[rows - 1](depth_blocks, a, b, next_b, scales, c, c_stride);
}

}  // namespace cleave::kernels
