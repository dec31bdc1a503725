// SPDX-License-Identifier: Apache-2.0
//
// When each tensor of a variant lives. Time is counted in steps: step 0 is before the first op, op
// i runs in step i + 1, and step N + 1 is after the last op, when the output is read.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/tensor.h"

namespace cleave {

struct Lifetime {
  // defined == kNever: no op writes it and it is not the input, so it has no place in memory.
  static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t defined = kNever;  // step that writes it; 0 for the model input
  std::uint32_t last_read = 0;     // last step that reads it, >= defined

  // True when the tensor crosses the cut at `boundary`: written before it, read after it.
  [[nodiscard]] bool crosses(OpIndex boundary) const {
    return defined <= boundary && boundary < last_read;
  }
};

// One lifetime per tensor of the variant, by tensor id. The model input lives at least until the
// first step, the model output until the last.
[[nodiscard]] std::vector<Lifetime> find_lifetimes(const fbs::Variant& variant);

// The tensors that cross the cut at `boundary` (0..number of ops), ascending.
[[nodiscard]] std::vector<TensorId> tensors_crossing(const std::vector<Lifetime>& lifetimes,
                                                     OpIndex boundary);

}  // namespace cleave
