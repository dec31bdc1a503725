// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/vector_scalar.h"
#include "engine/kernels/winograd_4x3.h"

namespace cleave::kernels {

void f32_winograd_input_4x3_scalar(const WinogradPatch& patch, const float* pixels, float* values,
                                   std::size_t position_stride) {
  winograd_4x3::transform_input<ScalarVector>(patch, pixels, values, position_stride);
}

void f32_winograd_output_4x3_scalar(const float* products, std::size_t position_stride,
                                    const WinogradPatch& patch, const float* bias, float minimum,
                                    float maximum, float* pixels) {
  winograd_4x3::transform_output<ScalarVector>(products, position_stride, patch, bias, minimum,
                                               maximum, pixels);
}

}  // namespace cleave::kernels
