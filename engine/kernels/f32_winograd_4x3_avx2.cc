// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/winograd_4x3.h"

namespace cleave::kernels {
namespace {

struct Avx2Vector {
  static constexpr std::size_t kLanes = 8;
  __m256 value;

  static Avx2Vector load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Avx2Vector all(float value) { return {_mm256_set1_ps(value)}; }
  void store(float* to) const { _mm256_storeu_ps(to, value); }
  friend Avx2Vector operator+(Avx2Vector a, Avx2Vector b) {
    return {_mm256_add_ps(a.value, b.value)};
  }
  friend Avx2Vector operator-(Avx2Vector a, Avx2Vector b) {
    return {_mm256_sub_ps(a.value, b.value)};
  }
  friend Avx2Vector fma(Avx2Vector a, Avx2Vector b, Avx2Vector c) {
    return {_mm256_fmadd_ps(a.value, b.value, c.value)};
  }
  friend Avx2Vector clamp(Avx2Vector x, Avx2Vector low, Avx2Vector high) {
    return {_mm256_min_ps(_mm256_max_ps(x.value, low.value), high.value)};
  }
};

}  // namespace

void f32_winograd_input_4x3_avx2(const WinogradPatch& patch, const float* pixels, float* values,
                                 std::size_t position_stride) {
  winograd_4x3::transform_input<Avx2Vector>(patch, pixels, values, position_stride);
}

void f32_winograd_output_4x3_avx2(const float* products, std::size_t position_stride,
                                  const WinogradPatch& patch, const float* bias, float minimum,
                                  float maximum, float* pixels) {
  winograd_4x3::transform_output<Avx2Vector>(products, position_stride, patch, bias, minimum,
                                             maximum, pixels);
}

}  // namespace cleave::kernels
