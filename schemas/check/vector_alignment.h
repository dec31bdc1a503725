// SPDX-License-Identifier: Apache-2.0
//
// The FlatBuffers Verifier checks that the length of a vector is aligned, not that its elements
// are. On some ARM cores an element of 8 bytes that is not ends the process.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flatbuffers/flatbuffers.h"

namespace cleave {

// True when elements of `alignment` bytes can be read where they are. Needed for vectors whose
// elements are aligned to more than 4. REQUIRES: the buffer itself is aligned to `alignment`.
template <typename T>
[[nodiscard]] bool elements_aligned(const flatbuffers::Vector<T>& vector, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(vector.Data()) % alignment == 0;
}

}  // namespace cleave
