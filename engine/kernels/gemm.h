// SPDX-License-Identifier: Apache-2.0
//
// The core of a matrix product, of f32 or of 16-bit integers: a few rows of A times a panel of
// columns of B.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

// Depth comes in blocks of this many; shorter ones are filled up with zeros.
inline constexpr std::size_t kGemmDepthBlock = 16;
// No table has more rows of a call, or columns of a panel.
inline constexpr std::size_t kMostGemmRows = 16;
inline constexpr std::size_t kMostGemmColumns = 32;

// c[r][n] = sum over d of a[r][d] * b[d][n], for all columns n of a panel, added in the order of d,
// each step one fused multiply-add (two roundings in the scalar kernel).
//   a: [depth_blocks][rows][16], b: [depth_blocks * 16][columns of a panel], c: [rows] rows that
//   are c_stride floats apart.
// `next_b` is fetched into the caches along the way, as many bytes as `b` has: the panel that comes
// next when it is still in memory. It is only a hint, any address will do.
// REQUIRES: rows from 1 to the kernel's most; at least one block of depth; b and c aligned to 64
// bytes.
using GemmPanel = void(std::size_t rows, std::size_t depth_blocks, const float* a, const float* b,
                       const float* next_b, float* c, std::size_t c_stride);
GemmPanel f32_gemm_4x16_scalar;
GemmPanel f32_gemm_6x16_avx2;
GemmPanel f32_gemm_14x32_avx512;
GemmPanel f32_gemm_8x8_neon;
// The same bits; for cores that issue in order.
GemmPanel f32_gemm_8x8_a53_neon;

// Blocks of depth whose products are added in 32 bits before they become f32.
inline constexpr std::size_t kS16GemmSumBlocks = 8;

// The same of integers, times a scale: c[r][n] = scales[n] * sum over d of a[r][d] * b[d][n]. Sums
// over kS16GemmSumBlocks blocks are exact, and added up in f32, each one fused multiply-add (two
// roundings in the scalar kernel).
//   a: as above; b: [depth_blocks * 8][columns of a panel][2 neighbours in depth].
// REQUIRES: as above; the sums that are exact fit 32 bits; no a is -32768.
using S16GemmPanel = void(std::size_t rows, std::size_t depth_blocks, const std::int16_t* a,
                          const std::int16_t* b, const std::int16_t* next_b, const float* scales,
                          float* c, std::size_t c_stride);
S16GemmPanel s16_gemm_4x16_scalar;
S16GemmPanel s16_gemm_6x16_avx2;
S16GemmPanel s16_gemm_14x32_avx512;
S16GemmPanel s16_gemm_14x32_avx512vnni;

}  // namespace cleave::kernels
