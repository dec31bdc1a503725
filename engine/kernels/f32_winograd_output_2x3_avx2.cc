// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/vector_avx2.h"
#include "engine/kernels/winograd_transforms.h"

namespace cleave::kernels {

void f32_winograd_output_2x3_avx2(const float* products, std::size_t position_stride,
                                  const WinogradPatch& patch, const Epilogue& epilogue,
                                  float* pixels) {
  winograd::transform_output<Avx2Vector, 4, 2>(products, position_stride, patch, epilogue, pixels);
}

}  // namespace cleave::kernels
