// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/store_rows.h"
#include "engine/kernels/vector_avx512.h"

namespace cleave::kernels {

void s8_store_rows_avx512(std::size_t rows, std::size_t channels, const float* products,
                          std::size_t product_stride, const Epilogue& epilogue, std::int8_t* pixels,
                          std::size_t pixel_stride) {
  s8_store_rows<Avx512Vector>(rows, channels, products, product_stride, epilogue, pixels,
                              pixel_stride);
}

}  // namespace cleave::kernels
