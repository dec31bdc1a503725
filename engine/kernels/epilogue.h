// SPDX-License-Identifier: Apache-2.0
//
// What is done with sums of products before they are stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

// Add bias[channel], then clamp; int8 is rounded to nearest, ties to even. REQUIRES of int8:
// minimum >= -128, maximum <= 127.
struct Epilogue {
  const float* bias = nullptr;
  float minimum = 0;
  float maximum = 0;
};

// pixels[row * pixel_stride + channel] = epilogue of products[row * product_stride + channel].
// REQUIRES: products and bias may be read up to a multiple of 16 channels.
using S8StoreRows = void(std::size_t rows, std::size_t channels, const float* products,
                         std::size_t product_stride, const Epilogue& epilogue, std::int8_t* pixels,
                         std::size_t pixel_stride);
S8StoreRows s8_store_rows_scalar;
S8StoreRows s8_store_rows_avx2;
S8StoreRows s8_store_rows_avx512;

}  // namespace cleave::kernels
