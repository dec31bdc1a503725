// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/arena.h"

#include <string>

namespace cleave {

Status Arena::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return Status::ok();
  // Freed first: holding both would double the peak.
  memory_.reset();
  capacity_ = 0;
  memory_.reset(static_cast<std::byte*>(counted_allocate(bytes)));
  if (memory_ == nullptr) {
    return {StatusCode::kResourceExhausted, "no memory for an arena of " + std::to_string(bytes) +
                                                " bytes; choose a smaller head or batch"};
  }
  capacity_ = bytes;
  return Status::ok();
}

}  // namespace cleave
