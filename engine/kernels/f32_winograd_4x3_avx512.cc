// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/winograd_4x3.h"

namespace cleave::kernels {
namespace {

struct Avx512Vector {
  static constexpr std::size_t kLanes = 16;
  __m512 value;

  static Avx512Vector load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Avx512Vector all(float value) { return {_mm512_set1_ps(value)}; }
  void store(float* to) const { _mm512_storeu_ps(to, value); }
  friend Avx512Vector operator+(Avx512Vector a, Avx512Vector b) {
    return {_mm512_add_ps(a.value, b.value)};
  }
  friend Avx512Vector operator-(Avx512Vector a, Avx512Vector b) {
    return {_mm512_sub_ps(a.value, b.value)};
  }
  friend Avx512Vector fma(Avx512Vector a, Avx512Vector b, Avx512Vector c) {
    return {_mm512_fmadd_ps(a.value, b.value, c.value)};
  }
  friend Avx512Vector clamp(Avx512Vector x, Avx512Vector low, Avx512Vector high) {
    return {_mm512_min_ps(_mm512_max_ps(x.value, low.value), high.value)};
  }
};

}  // namespace

void f32_winograd_input_4x3_avx512(const WinogradPatch& patch, const float* pixels, float* values,
                                   std::size_t position_stride) {
  winograd_4x3::transform_input<Avx512Vector>(patch, pixels, values, position_stride);
}

void f32_winograd_output_4x3_avx512(const float* products, std::size_t position_stride,
                                    const WinogradPatch& patch, const float* bias, float minimum,
                                    float maximum, float* pixels) {
  winograd_4x3::transform_output<Avx512Vector>(products, position_stride, patch, bias, minimum,
                                               maximum, pixels);
}

}  // namespace cleave::kernels
