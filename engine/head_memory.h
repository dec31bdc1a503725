// SPDX-License-Identifier: Apache-2.0
//
// What the head of a cut takes on a device: the one count that `inspect`, plans and caps share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/preference.h"
#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// What running any head takes besides: code that is paged in, rows of the decoder, what the heap
// rounds up. 0.4 to 1.1 MB were seen on x86.
inline constexpr std::uint64_t kHeadOtherBytes = 1 << 20;
// What sending the picture takes where nothing is computed here. Rows of the decoder are there only
// for pictures that are decoded: this is between those and the ones that travel as they are.
inline constexpr std::uint64_t kPictureOtherBytes = 256 << 10;

// What op `op` holds outside of the arena beside its weights: the operator, and pointers of a pool
// or convolution to each pixel of each window. REQUIRES: an op of `variant`.
[[nodiscard]] std::uint64_t operator_bytes(const fbs::Variant& variant, OpIndex op,
                                           Preference preference);

// Of ops [0, boundary), one picture, once they have run. All zero at boundary 0.
struct HeadMemory {
  std::uint64_t weight_bytes = 0;    // ready to run on this CPU (weight_ram_bytes)
  std::uint64_t arena_bytes = 0;     // planned with OutputPlace::kCaller
  std::uint64_t boundary_bytes = 0;  // the outputs, in buffers of the caller
  std::uint64_t other_bytes = 0;     // kHeadOtherBytes and operator_bytes of each op

  [[nodiscard]] std::uint64_t total() const {
    return weight_bytes + arena_bytes + boundary_bytes + other_bytes;
  }
};

// One entry per boundary of `boundaries`, which ascend. Errors: kOutOfRange (a boundary after the
// last op), and those of plan_cut_arenas. `preference`: that of the weights it is for. REQUIRES:
// variant < header.variants()->size(). Thread-safe.
[[nodiscard]] Result<std::vector<HeadMemory>> plan_head_memory(const fbs::Model& header,
                                                               std::uint32_t variant,
                                                               std::span<const OpIndex> boundaries,
                                                               Preference preference);

}  // namespace cleave
