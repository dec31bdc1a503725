// SPDX-License-Identifier: Apache-2.0
//
// Floats for a moment, in pages that go back to the system: what a heap took in it may keep, and an
// agent's peak would be higher for good.
#pragma once

#include <cstddef>
#include <memory>

namespace cleave {

struct UnmapFloats {
  std::size_t bytes = 0;
  void operator()(float* floats) const;
};

class TransientFloats {
 public:
  TransientFloats() = default;
  // data() is nullptr when there is no memory, or count is 0.
  explicit TransientFloats(std::size_t count);

  [[nodiscard]] float* data() const { return floats_.get(); }

 private:
  std::unique_ptr<float, UnmapFloats> floats_;
};

}  // namespace cleave
