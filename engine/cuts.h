// SPDX-License-Identifier: Apache-2.0
//
// Cuts of a variant: what crosses each op boundary, and how users name a boundary.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// One op boundary c: the head is ops [0, c), the tail ops [c, N).
struct Cut {
  OpIndex op_boundary = 0;
  // Every tensor alive there, ascending by id: the model input or outputs of ops < c that an op
  // >= c reads; at c = N the model output. At c = 0 exactly the model input.
  std::vector<TensorId> boundary_tensors;
  std::uint64_t boundary_bytes = 0;  // as the engine holds them, batch 1, all boundary tensors
};

// All N + 1 cuts of the variant, in order. REQUIRES: variant index in range.
[[nodiscard]] std::vector<Cut> find_cuts(const fbs::Model& model, std::uint32_t variant);

// A split k in 0..L with the op boundary it means.
struct Split {
  std::uint32_t layers_on_device = 0;  // k; for `op:N` the largest k whose boundary is <= N
  OpIndex op_boundary = 0;
};

// The distinct splits of the variant: k = 0, then each layer whose boundary differs from the one
// before (a layer boundary inside a fused op means that op's end; the same cut is listed once,
// under its largest k), ending with k = L.
[[nodiscard]] std::vector<Split> list_splits(const fbs::Model& model, std::uint32_t variant);

// Reads `K` (0..L), a layer's name (the head ends with it), `op:N` (0..number of ops) or `all`.
// Errors: kOutOfRange naming the valid range, or kNotFound naming the nearest layer names.
[[nodiscard]] Result<Split> parse_split(const fbs::Model& model, std::uint32_t variant,
                                        std::string_view text);

}  // namespace cleave
