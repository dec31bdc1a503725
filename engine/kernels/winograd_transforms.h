// SPDX-License-Identifier: Apache-2.0
//
// The transforms of the minimal filtering algorithms F(4x4, 3x3), F(2x2, 5x5) and F(2x2, 3x3)
// (Lavin and Gray 2015, after Winograd 1980) on f32, once for every vector type. Interpolation
// points of the first two: 0, 1, -1, 2, -2, infinity, so B^T is the same; of the last: 0, 1, -1,
// infinity.
//
// Vector: a type with `static constexpr std::size_t kLanes`, `static Vector load(const float*)`,
// `void store(Pixel*) const`, `static Vector all(float)`, +, -, `fma(a, b, c)` = a * b + c and
// `clamp(x, low, high)`.
#pragma once

#include <cstddef>

#include "engine/kernels/winograd.h"

namespace cleave::kernels::winograd {

// B^T d of six values.
template <class Vector>
inline void transform_input_line(const Vector (&d)[6], Vector (&t)[6]) {
  const Vector minus_four = Vector::all(-4.0F);
  const Vector minus_five = Vector::all(-5.0F);
  const Vector four = Vector::all(4.0F);
  const Vector even = fma(minus_four, d[2], d[4]);
  const Vector odd = fma(minus_four, d[1], d[3]);
  const Vector even_half = d[4] - d[2];
  const Vector odd_half = d[3] - d[1];
  const Vector odd_double = odd_half + odd_half;
  t[0] = fma(four, d[0], fma(minus_five, d[2], d[4]));
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = even_half + odd_double;
  t[4] = even_half - odd_double;
  t[5] = fma(four, d[1], fma(minus_five, d[3], d[5]));
}

// B^T d of four values.
template <class Vector>
inline void transform_input_line(const Vector (&d)[4], Vector (&t)[4]) {
  t[0] = d[0] - d[2];
  t[1] = d[1] + d[2];
  t[2] = d[2] - d[1];
  t[3] = d[1] - d[3];
}

// A^T m of six values, for 4 or 2 outputs, and of four values for 2.
template <class Vector>
inline void transform_output_line(const Vector (&m)[6], Vector (&y)[4]) {
  const Vector sum_near = m[1] + m[2];
  const Vector difference_near = m[1] - m[2];
  const Vector sum_far = m[3] + m[4];
  const Vector difference_far = m[3] - m[4];
  y[0] = m[0] + sum_near + sum_far;
  y[1] = fma(Vector::all(2.0F), difference_far, difference_near);
  y[2] = fma(Vector::all(4.0F), sum_far, sum_near);
  y[3] = fma(Vector::all(8.0F), difference_far, difference_near) + m[5];
}
template <class Vector>
inline void transform_output_line(const Vector (&m)[6], Vector (&y)[2]) {
  y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
  y[1] = fma(Vector::all(2.0F), m[3] - m[4], m[1] - m[2]) + m[5];
}

template <class Vector>
inline void transform_output_line(const Vector (&m)[4], Vector (&y)[2]) {
  y[0] = m[0] + (m[1] + m[2]);
  y[1] = m[1] - m[2] - m[3];
}

template <class Vector, std::size_t kPatch>
inline void transform_input_lanes(const WinogradPatch& patch, const float* pixels, float* values,
                                  std::size_t position_stride) {
  Vector columns[kPatch][kPatch];  // [column][row after the transform]
  for (std::size_t x = 0; x < kPatch; ++x) {
    Vector column[kPatch];
    for (std::size_t y = 0; y < kPatch; ++y) {
      column[y] = Vector::load(pixels + y * patch.row_stride + x * patch.pixel_stride);
    }
    transform_input_line(column, columns[x]);
  }
  for (std::size_t y = 0; y < kPatch; ++y) {
    Vector row[kPatch];
    for (std::size_t x = 0; x < kPatch; ++x) row[x] = columns[x][y];
    Vector transformed[kPatch];
    transform_input_line(row, transformed);
    for (std::size_t x = 0; x < kPatch; ++x) {
      transformed[x].store(values + (y * kPatch + x) * position_stride);
    }
  }
}

template <class Vector, std::size_t kPatch, std::size_t kSide, class Pixel>
inline void transform_output_lanes(const float* products, std::size_t position_stride,
                                   const WinogradPatch& patch, const Epilogue& epilogue,
                                   const float* bias, Pixel* pixels) {
  Vector columns[kPatch][kSide];  // [column][row after the transform]
  for (std::size_t x = 0; x < kPatch; ++x) {
    Vector column[kPatch];
    for (std::size_t y = 0; y < kPatch; ++y) {
      column[y] = Vector::load(products + (y * kPatch + x) * position_stride);
    }
    transform_output_line(column, columns[x]);
  }
  const Vector offset = Vector::load(bias);
  const Vector low = Vector::all(epilogue.minimum);
  const Vector high = Vector::all(epilogue.maximum);
  for (std::size_t y = 0; y < kSide; ++y) {
    Vector row[kPatch];
    for (std::size_t x = 0; x < kPatch; ++x) row[x] = columns[x][y];
    Vector transformed[kSide];
    transform_output_line(row, transformed);
    for (std::size_t x = 0; x < kSide; ++x) {
      clamp(transformed[x] + offset, low, high)
          .store(pixels + y * patch.row_stride + x * patch.pixel_stride);
    }
  }
}

template <class Vector, std::size_t kPatch>
inline void transform_input(const WinogradPatch& patch, const float* pixels, float* values,
                            std::size_t position_stride) {
  for (std::size_t lane = 0; lane < kWinogradChannels; lane += Vector::kLanes) {
    transform_input_lanes<Vector, kPatch>(patch, pixels + lane, values + lane, position_stride);
  }
}

template <class Vector, std::size_t kPatch, std::size_t kSide, class Pixel>
inline void transform_output(const float* products, std::size_t position_stride,
                             const WinogradPatch& patch, const Epilogue& epilogue, Pixel* pixels) {
  for (std::size_t lane = 0; lane < kWinogradChannels; lane += Vector::kLanes) {
    transform_output_lanes<Vector, kPatch, kSide>(products + lane, position_stride, patch, epilogue,
                                                  epilogue.bias + lane, pixels + lane);
  }
}

}  // namespace cleave::kernels::winograd
