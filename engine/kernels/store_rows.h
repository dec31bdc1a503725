// SPDX-License-Identifier: Apache-2.0
//
// The loops of S8StoreRows, once for every vector type (winograd_transforms.h says what that is).
#pragma once

#include <algorithm>
#include <cstring>

#include "engine/kernels/epilogue.h"

namespace cleave::kernels {

template <class Vector>
inline void s8_store_rows(std::size_t rows, std::size_t channels, const float* products,
                          std::size_t product_stride, const Epilogue& epilogue, std::int8_t* pixels,
                          std::size_t pixel_stride) {
  const Vector low = Vector::all(epilogue.minimum);
  const Vector high = Vector::all(epilogue.maximum);
  for (std::size_t row = 0; row < rows; ++row) {
    const float* from = products + row * product_stride;
    std::int8_t* to = pixels + row * pixel_stride;
    for (std::size_t channel = 0; channel < channels; channel += Vector::kLanes) {
      const Vector sum = Vector::load(from + channel) + Vector::load(epilogue.bias + channel);
      const std::size_t left = channels - channel;
      if (left >= Vector::kLanes) {
        clamp(sum, low, high).store(to + channel);
      } else {
        std::int8_t whole[Vector::kLanes];
        clamp(sum, low, high).store(whole);
        std::memcpy(to + channel, whole, left);
      }
    }
  }
}

}  // namespace cleave::kernels
