// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>

namespace cleave {

// What an op needs of the arena besides its tensors, and whether it can do with less.
struct OpMemory {
  static constexpr std::size_t kApart = std::numeric_limits<std::size_t>::max();

  std::size_t workspace_bytes = 0;
  // The output may lie over the first input if it begins this many bytes, or more, before it:
  // nothing is then written that is still to be read. kApart: it may not.
  std::size_t output_lead_bytes = kApart;
};

}  // namespace cleave
