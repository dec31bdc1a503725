// SPDX-License-Identifier: Apache-2.0
//
// What the tests of kernels share: seeded values, aligned copies, and how far rounding may go.
#pragma once

#include <cstddef>
#include <cstring>
#include <random>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/kernels/gemm.h"

namespace cleave::test {

// In [-1, 1), the same on every machine.
inline std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(static_cast<int>(random() >> 8) - (1 << 23)) * 0x1p-23F;
  }
  return values;
}

inline AlignedBuffer aligned_copy(const std::vector<float>& values) {
  AlignedBuffer buffer(values.size() * sizeof(float));
  std::memcpy(buffer.data(), values.data(), values.size() * sizeof(float));
  return buffer;
}

// The left side of a product as kernels want it, from rows x depth.
template <class Number>
inline std::vector<Number> interleave(const std::vector<Number>& a, std::size_t rows,
                                      std::size_t depth) {
  std::vector<Number> blocks(rows * depth);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t d = 0; d < depth; ++d) {
      const std::size_t block = d / kernels::kGemmDepthBlock;
      blocks[(block * rows + r) * kernels::kGemmDepthBlock + d % kernels::kGemmDepthBlock] =
          a[r * depth + d];
    }
  }
  return blocks;
}

// The error of a sum of `terms` products in f32, as a share of the sum of their magnitudes, in
// whatever order they are added (Higham 2002, section 3.1).
inline double rounding_bound(std::size_t terms) {
  return static_cast<double>(terms + 2) * 0x1p-24 * 1.01;
}

}  // namespace cleave::test
