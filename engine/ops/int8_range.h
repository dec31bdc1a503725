// SPDX-License-Identifier: Apache-2.0
//
// A clamp of real numbers on int8 tensors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/ops/op.h"

namespace cleave::ops {

// The int8 nearest to a real number, rounded as XNNPACK does it. REQUIRES: type.dtype S8; not NaN.
[[nodiscard]] inline std::int8_t to_int8(float real, const TensorType& type) {
  const float steps = std::nearbyint(real / type.scale + static_cast<float>(type.zero_point));
  return static_cast<std::int8_t>(std::clamp(steps, -128.0F, 127.0F));
}

struct Int8Range {
  std::int8_t minimum = -128;
  std::int8_t maximum = 127;
};

[[nodiscard]] inline Int8Range int8_range(const ClampRange& clamp, const TensorType& type) {
  return {to_int8(clamp.minimum, type), to_int8(clamp.maximum, type)};
}

}  // namespace cleave::ops
