// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/vector_scalar.h"
#include "engine/kernels/winograd_transforms.h"

namespace cleave::kernels {

void f32_winograd_input_6_scalar(const WinogradPatch& patch, const float* pixels, float* values,
                                 std::size_t position_stride) {
  winograd::transform_input<ScalarVector, 6>(patch, pixels, values, position_stride);
}

}  // namespace cleave::kernels
