// SPDX-License-Identifier: Apache-2.0
//
// The loops of a fully connected layer, once for every instruction set and weight type.
//
// Lanes: `using Weight`, `static constexpr std::size_t kLanes`, `using Vector`, `zero()`,
// `load(const float*)`, `load_weights(const Weight*)`, `fma(a, b, c)` = a * b + c,
// `store(float*, Vector)`, `widen(Weight)`. Where several vectors of weights are cheaper to get at
// once: `kGroup` of them by `load_weights(const Weight*, Vector (&)[kGroup])`. Where the core does
// not run ahead far enough by itself, as streams of narrow weights end early: `kAheadBytes`.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/kernels/fully_connected.h"

namespace cleave::kernels {

// Four rows of weights are four streams that the memory can run ahead of; four pictures reuse each
// weight four times.
inline constexpr std::size_t kRowsAtOnce = 4;
inline constexpr std::size_t kPicturesAtOnce = 4;

template <class Lanes>
float sum_of_lanes(typename Lanes::Vector sum) {
  float lanes[Lanes::kLanes];
  Lanes::store(lanes, sum);
  for (std::size_t half = Lanes::kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

template <class Lanes>
concept LoadsGroups = requires {
  Lanes::kGroup;
};

template <class Lanes>
concept FetchesAhead = requires {
  Lanes::kAheadBytes;
};

// Adds the products of as many whole groups as there are; returns how many inputs those were. In
// the order in which single vectors are added, so that the sums are the same.
template <LoadsGroups Lanes, std::size_t kRows>
std::size_t add_groups(const float* input, const typename Lanes::Weight* weights,
                       std::size_t inputs, typename Lanes::Vector (&sums)[kRows][1]) {
  constexpr std::size_t kStep = Lanes::kGroup * Lanes::kLanes;
  using Group = typename Lanes::Vector[Lanes::kGroup];
  std::size_t i = 0;
  for (; i + kStep <= inputs; i += kStep) {
    Group group[kRows];
    // Behind the end of a row lies the row of the next stream; what comes next of this stream lies
    // behind all of them.
    std::size_t ahead = 0;
    if constexpr (FetchesAhead<Lanes>) {
      ahead = Lanes::kAheadBytes;
      const bool in_next_rows = i + ahead / sizeof(typename Lanes::Weight) >= inputs;
      if (in_next_rows) ahead += (kRows - 1) * inputs * sizeof(typename Lanes::Weight);
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      Lanes::load_weights(weights + r * inputs + i, group[r]);
      if constexpr (FetchesAhead<Lanes>) {
        const auto* here = reinterpret_cast<const std::byte*>(weights + r * inputs + i);
        __builtin_prefetch(here + ahead);
      }
    }
#pragma GCC unroll 4
    for (std::size_t g = 0; g < Lanes::kGroup; ++g) {
      const typename Lanes::Vector values = Lanes::load(input + i + g * Lanes::kLanes);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][0] = Lanes::fma(group[r][g], values, sums[r][0]);
      }
    }
  }
  return i;
}

template <class Lanes, std::size_t kRows, std::size_t kPictures>
void fully_connected_block(const FullyConnectedRows& layer, std::size_t row, std::size_t picture) {
  const std::size_t inputs = layer.inputs;
  const auto* weights = static_cast<const typename Lanes::Weight*>(layer.weights) + row * inputs;
  const float* input = layer.input + picture * inputs;
  typename Lanes::Vector sums[kRows][kPictures];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPictures; ++p) sums[r][p] = Lanes::zero();
  }
  const std::size_t whole = inputs - inputs % Lanes::kLanes;
  std::size_t begin = 0;
  if constexpr (LoadsGroups<Lanes> && kPictures == 1) {
    begin = add_groups<Lanes, kRows>(input, weights, inputs, sums);
  }
  for (std::size_t i = begin; i < whole; i += Lanes::kLanes) {
    typename Lanes::Vector values[kPictures];
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPictures; ++p) values[p] = Lanes::load(input + p * inputs + i);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      const typename Lanes::Vector weight = Lanes::load_weights(weights + r * inputs + i);
#pragma GCC unroll 4
      for (std::size_t p = 0; p < kPictures; ++p) {
        sums[r][p] = Lanes::fma(weight, values[p], sums[r][p]);
      }
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPictures; ++p) {
      float sum = sum_of_lanes<Lanes>(sums[r][p]);
      for (std::size_t i = whole; i < inputs; ++i) {
        sum += Lanes::widen(weights[r * inputs + i]) * input[p * inputs + i];
      }
      const std::size_t output = row + r;
      if (layer.scale != nullptr) sum *= layer.scale[output];
      if (layer.bias != nullptr) sum += layer.bias[output];
      layer.output[(picture + p) * layer.outputs + output] =
          std::min(std::max(sum, layer.minimum), layer.maximum);
    }
  }
}

template <class Lanes, std::size_t kRows>
void fully_connected_pictures(const FullyConnectedRows& layer, std::size_t row) {
  std::size_t picture = 0;
  for (; picture + kPicturesAtOnce <= layer.batch; picture += kPicturesAtOnce) {
    fully_connected_block<Lanes, kRows, kPicturesAtOnce>(layer, row, picture);
  }
  for (; picture < layer.batch; ++picture) {
    fully_connected_block<Lanes, kRows, 1>(layer, row, picture);
  }
}

template <class Lanes>
void fully_connected_rows(const FullyConnectedRows& layer, std::size_t first, std::size_t last) {
  std::size_t row = first;
  for (; row + kRowsAtOnce <= last; row += kRowsAtOnce) {
    fully_connected_pictures<Lanes, kRowsAtOnce>(layer, row);
  }
  for (; row < last; ++row) fully_connected_pictures<Lanes, 1>(layer, row);
}

}  // namespace cleave::kernels
