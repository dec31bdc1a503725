// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/vector_neon.h"
#include "engine/kernels/winograd_transforms.h"

namespace cleave::kernels {

void f32_winograd_input_4_neon(const WinogradPatch& patch, const float* pixels, float* values,
                               std::size_t position_stride) {
  winograd::transform_input<NeonVector, 4>(patch, pixels, values, position_stride);
}

}  // namespace cleave::kernels
