// SPDX-License-Identifier: Apache-2.0
//
// The kernel of a 3x3 convolution, transformed for Winograd's F(4x4, 3x3) and laid out for the
// matrix products.
#pragma once

#include <cstddef>

#include "engine/ops/op.h"

namespace cleave::ops {

// Channels fill up blocks and panels.
constexpr std::size_t round_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

// Bytes of what winograd_weights() makes.
[[nodiscard]] std::size_t winograd_weight_bytes(const OpSpec& spec, std::size_t panel_columns);

// [36 positions][panels of `panel_columns` output channels][input channels, filled up to a multiple
// of 16][panel_columns], then the bias of all panels; zeros where there is no channel. Taken from
// the op's cache entry, or made there; nullptr when the op is made for planning only.
// Errors: kResourceExhausted.
[[nodiscard]] Result<const float*> winograd_weights(const OpSpec& spec, std::size_t panel_columns);

}  // namespace cleave::ops
