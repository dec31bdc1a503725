// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/depthwise.h"

namespace cleave::kernels {
namespace {

__m128i load(const std::int8_t* values) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
}

__m256i load_weights(const std::int16_t* weights) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
}

class Requantization {
 public:
  explicit Requantization(const S8DepthwiseLayer& layer)
      : least_(_mm256_set1_ps(static_cast<float>(layer.minimum - layer.zero_point))),
        most_(_mm256_set1_ps(static_cast<float>(layer.maximum - layer.zero_point))),
        zero_point_(_mm256_set1_epi32(layer.zero_point)) {}

  // Packing works within halves of 128 bits: the quarters have to be put in order.
  [[nodiscard]] __m128i apply(__m256i low, __m256i high, const float* scale) const {
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packs_epi32(apply(low, scale), apply(high, scale + 8)), 0xD8);
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }

 private:
  [[nodiscard]] __m256i apply(__m256i sum, const float* scale) const {
    __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scale));
    scaled = _mm256_min_ps(_mm256_max_ps(scaled, least_), most_);
    return _mm256_add_epi32(_mm256_cvtps_epi32(scaled), zero_point_);
  }

  __m256 least_, most_;
  __m256i zero_point_;
};

void store(__m128i values, std::size_t count, std::int8_t* output) {
  if (count == kDepthwiseChannels) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output), values);
  } else {
    std::memcpy(output, &values, count);
  }
}

}  // namespace

void s8_depthwise_16_avx2(const S8DepthwiseLayer& layer, const std::int8_t* const* taps,
                          std::size_t step, std::size_t pixels, std::int8_t* output) {
  const Requantization requantization(layer);
  const std::size_t block_weights = layer.tap_pairs * 2 * kDepthwiseChannels;
  const std::int16_t* weights = layer.weights;
  for (std::size_t c = 0; c < layer.channels; c += kDepthwiseChannels, weights += block_weights) {
    const std::size_t count = std::min(layer.channels - c, kDepthwiseChannels);
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      const std::size_t offset = pixel * step + c;
      __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(layer.bias + c));
      __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(layer.bias + c + 8));
      for (std::size_t pair = 0; pair < layer.tap_pairs; ++pair) {
        const __m128i a = load(taps[2 * pair] + offset);
        const __m128i b = load(taps[2 * pair + 1] + offset);
        const __m256i first = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
        const __m256i second = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b));
        const std::int16_t* both = weights + pair * 2 * kDepthwiseChannels;
        low = _mm256_add_epi32(low, _mm256_madd_epi16(first, load_weights(both)));
        high = _mm256_add_epi32(high,
                                _mm256_madd_epi16(second, load_weights(both + kDepthwiseChannels)));
      }
      store(requantization.apply(low, high, layer.scale + c), count,
            output + pixel * layer.channels + c);
    }
  }
}

}  // namespace cleave::kernels
