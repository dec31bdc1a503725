// SPDX-License-Identifier: Apache-2.0
#include "schemas/check/quantization_check.h"

#include <algorithm>
#include <cmath>

namespace cleave {
namespace {

bool known_axis(std::int32_t axis, std::size_t rank) {
  return axis >= -1 && axis < static_cast<std::int32_t>(rank);
}

}  // namespace

Status check_quantization(const fbs::Quantization* quantization,
                          std::span<const std::uint32_t> extents) {
  if (quantization == nullptr) return Status::ok();
  if (quantization->dtype() > fbs::DType::MAX) return corrupt("quantization: unknown dtype");
  if (quantization->scale() == nullptr || quantization->zero_point() == nullptr) {
    return corrupt("quantization: scale or zero_point is missing");
  }
  const auto& scales = *quantization->scale();
  const std::int32_t axis = quantization->axis();
  if (!known_axis(axis, extents.size())) return corrupt("quantization: no such axis");
  const bool per_tensor = scales.size() == 1;
  if (!per_tensor && (axis < 0 || scales.size() != extents[static_cast<std::size_t>(axis)])) {
    return corrupt("quantization: neither one scale nor one per index of its axis");
  }
  if (quantization->zero_point()->size() != scales.size()) {
    return corrupt("quantization: not as many zero points as scales");
  }
  // A source may give a channel of zeros the scale 0.
  if (!std::ranges::all_of(scales, [](float s) { return std::isfinite(s) && s >= 0; })) {
    return corrupt("quantization: a scale is negative or not finite");
  }
  return Status::ok();
}

}  // namespace cleave
