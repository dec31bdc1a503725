// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <algorithm>

#include "engine/kernels/depthwise.h"

namespace cleave::kernels {
namespace {

__m128i load(const std::int8_t* values) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
}

// Two taps side by side, channel by channel, as int16.
__m512i interleave(const std::int8_t* first, const std::int8_t* second) {
  const __m128i a = load(first);
  const __m128i b = load(second);
  const __m256i both = _mm256_set_m128i(_mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b));
  return _mm512_cvtepi8_epi16(both);
}

struct Requantization {
  explicit Requantization(const S8DepthwiseLayer& layer)
      : least(_mm512_set1_ps(static_cast<float>(layer.minimum - layer.zero_point))),
        most(_mm512_set1_ps(static_cast<float>(layer.maximum - layer.zero_point))),
        zero_point(_mm512_set1_epi32(layer.zero_point)) {}

  [[nodiscard]] __m128i apply(__m512i sum, __m512 scale) const {
    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
    scaled = _mm512_min_ps(_mm512_max_ps(scaled, least), most);
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(scaled), zero_point));
  }

  __m512 least, most;
  __m512i zero_point;
};

}  // namespace

void s8_depthwise_16_avx512(const S8DepthwiseLayer& layer, const std::int8_t* const* taps,
                            std::size_t step, std::size_t pixels, std::int8_t* output) {
  const Requantization requantization(layer);
  const std::size_t block_weights = layer.tap_pairs * 2 * kDepthwiseChannels;
  const std::int16_t* weights = layer.weights;
  for (std::size_t c = 0; c < layer.channels; c += kDepthwiseChannels, weights += block_weights) {
    const __m512i bias = _mm512_loadu_si512(layer.bias + c);
    const __m512 scale = _mm512_loadu_ps(layer.scale + c);
    const std::size_t count = std::min(layer.channels - c, kDepthwiseChannels);
    const auto kept = static_cast<__mmask64>((1U << count) - 1);
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      const std::size_t offset = pixel * step + c;
      __m512i sum = bias;
      for (std::size_t pair = 0; pair < layer.tap_pairs; ++pair) {
        const __m512i values = interleave(taps[2 * pair] + offset, taps[2 * pair + 1] + offset);
        const __m512i both = _mm512_loadu_si512(weights + pair * 2 * kDepthwiseChannels);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(values, both));
      }
      const __m128i result = requantization.apply(sum, scale);
      _mm512_mask_storeu_epi8(output + pixel * layer.channels + c, kept,
                              _mm512_castsi128_si512(result));
    }
  }
}

}  // namespace cleave::kernels
