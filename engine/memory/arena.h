// SPDX-License-Identifier: Apache-2.0
//
// The one block that holds everything an executor computes.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/memory/counting_allocator.h"
#include "schemas/status.h"

namespace cleave {

class Arena {
 public:
  // Has at least `bytes` from now on; what it held is lost when it must grow. It never shrinks:
  // going back and forth between cuts then costs no system calls.
  // Errors: kResourceExhausted; the arena is then empty.
  [[nodiscard]] Status reserve(std::size_t bytes);

  // At a multiple of 64; nullptr while nothing was reserved.
  [[nodiscard]] std::byte* data() { return memory_.get(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<std::byte, CountedFree> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace cleave
