// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/vector_scalar.h"
#include "engine/kernels/winograd_transforms.h"

namespace cleave::kernels {

void s8_winograd_output_2x3_scalar(const float* products, std::size_t position_stride,
                                   const WinogradPatch& patch, const Epilogue& epilogue,
                                   std::int8_t* pixels) {
  winograd::transform_output<ScalarVector, 4, 2>(products, position_stride, patch, epilogue,
                                                 pixels);
}

}  // namespace cleave::kernels
