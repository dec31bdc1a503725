// SPDX-License-Identifier: Apache-2.0
//
// The transforms of the minimal filtering algorithm F(4x4, 3x3) (Lavin and Gray 2015, after
// Winograd 1980), once for every vector type. Interpolation points: 0, 1, -1, 2, -2, infinity.
//
// Vector: a type with `static constexpr std::size_t kLanes`, `static Vector load(const float*)`,
// `void store(float*) const`, `static Vector all(float)`, +, - and `fma(a, b, c)` = a * b + c.
#pragma once

#include <cstddef>

#include "engine/kernels/winograd.h"

namespace cleave::kernels::winograd_4x3 {

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

// A^T m of six values.
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
inline void transform_input_lanes(const WinogradPatch& patch, const float* pixels, float* values,
                                  std::size_t position_stride) {
  Vector columns[6][6];  // [column][row after the transform]
  for (std::size_t x = 0; x < 6; ++x) {
    Vector column[6];
    for (std::size_t y = 0; y < 6; ++y) {
      column[y] = Vector::load(pixels + y * patch.row_stride + x * patch.pixel_stride);
    }
    transform_input_line(column, columns[x]);
  }
  for (std::size_t y = 0; y < 6; ++y) {
    const Vector row[6] = {columns[0][y], columns[1][y], columns[2][y],
                           columns[3][y], columns[4][y], columns[5][y]};
    Vector transformed[6];
    transform_input_line(row, transformed);
    for (std::size_t x = 0; x < 6; ++x) {
      transformed[x].store(values + (y * 6 + x) * position_stride);
    }
  }
}

template <class Vector>
inline void transform_output_lanes(const float* products, std::size_t position_stride,
                                   const WinogradPatch& patch, const float* bias, float minimum,
                                   float maximum, float* pixels) {
  Vector columns[6][4];  // [column][row after the transform]
  for (std::size_t x = 0; x < 6; ++x) {
    Vector column[6];
    for (std::size_t y = 0; y < 6; ++y) {
      column[y] = Vector::load(products + (y * 6 + x) * position_stride);
    }
    transform_output_line(column, columns[x]);
  }
  const Vector offset = Vector::load(bias);
  const Vector low = Vector::all(minimum);
  const Vector high = Vector::all(maximum);
  for (std::size_t y = 0; y < 4; ++y) {
    const Vector row[6] = {columns[0][y], columns[1][y], columns[2][y],
                           columns[3][y], columns[4][y], columns[5][y]};
    Vector transformed[4];
    transform_output_line(row, transformed);
    for (std::size_t x = 0; x < 4; ++x) {
      clamp(transformed[x] + offset, low, high)
          .store(pixels + y * patch.row_stride + x * patch.pixel_stride);
    }
  }
}

template <class Vector>
inline void transform_input(const WinogradPatch& patch, const float* pixels, float* values,
                            std::size_t position_stride) {
  for (std::size_t lane = 0; lane < kWinogradChannels; lane += Vector::kLanes) {
    transform_input_lanes<Vector>(patch, pixels + lane, values + lane, position_stride);
  }
}

template <class Vector>
inline void transform_output(const float* products, std::size_t position_stride,
                             const WinogradPatch& patch, const float* bias, float minimum,
                             float maximum, float* pixels) {
  for (std::size_t lane = 0; lane < kWinogradChannels; lane += Vector::kLanes) {
    transform_output_lanes<Vector>(products + lane, position_stride, patch, bias + lane, minimum,
                                   maximum, pixels + lane);
  }
}

}  // namespace cleave::kernels::winograd_4x3
