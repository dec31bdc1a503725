// SPDX-License-Identifier: Apache-2.0
//
// The kernel of a convolution, transformed for Winograd's F(4x4, 3x3), F(2x2, 3x3) or F(2x2, 5x5)
// and laid out for the matrix products.
#pragma once

#include <cstddef>

#include "engine/ops/op.h"

namespace cleave::ops {

// Channels fill up blocks and panels.
constexpr std::size_t round_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

// F(output x output, window x window) on patches of patch x patch pixels.
struct WinogradForm {
  std::size_t window = 0;
  std::size_t patch = 0;
  [[nodiscard]] std::size_t output() const { return patch + 1 - window; }
  [[nodiscard]] std::size_t positions() const { return patch * patch; }
};

// 5x5 windows have one form. 3x3: F(4x4, 3x3), or F(2x2, 3x3) for pictures of at most 16 tiles of
// 4x4 (14x14) and at least 32768 kernels (input by output channels), whose transformed weights do
// not stay in a core's caches: each is used so few times that reading it takes longer than
// computing, and there are 16 instead of 36. Depends on the op alone. REQUIRES:
// winograd_pays(spec).
[[nodiscard]] WinogradForm winograd_form(const OpSpec& spec);

// All nullptr when the op is made for planning only.
struct WinogradWeights {
  // [positions][panels of `panel_columns` output channels][input channels, filled up to a
  // multiple of 16][panel_columns]; zeros where there is no channel. Of an op on int8, integers of
  // 16 bits with two neighbouring input channels innermost.
  const void* values = nullptr;
  // Of an op on int8: [positions][output channels, filled up]: from products to steps of the
  // output.
  const float* scales = nullptr;
  // Of all panels; of an op on int8 in steps of the output, with its zero point.
  const float* bias = nullptr;
};

// Bytes of what winograd_weights() makes.
[[nodiscard]] std::size_t winograd_weight_bytes(const OpSpec& spec, std::size_t panel_columns);

// Taken from the op's cache entry, or made there. Integers are as large as they may be without an
// overflow in the sums of S16GemmPanel, whatever the input. REQUIRES: winograd_pays(spec).
// Errors: kResourceExhausted.
[[nodiscard]] Result<WinogradWeights> winograd_weights(const OpSpec& spec,
                                                       std::size_t panel_columns);

}  // namespace cleave::ops
