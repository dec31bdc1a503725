// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/dispatch.h"

#include <cstdlib>
#include <string_view>
#include <vector>

namespace cleave::kernels {
namespace {

constexpr KernelTable kScalar{.name = "scalar",
                              .gemm = f32_gemm_4x16_scalar,
                              .gemm_rows = 4,
                              .gemm_columns = 16,
                              .winograd_input = f32_winograd_input_4x3_scalar,
                              .winograd_output = f32_winograd_output_4x3_scalar,
                              .f32_fully_connected = f32_fully_connected_scalar,
                              .f16_fully_connected = f16_fully_connected_scalar,
                              .s8_fully_connected = s8_fully_connected_scalar};
#if defined(__x86_64__)
constexpr KernelTable kAvx2{.name = "avx2",
                            .gemm = f32_gemm_6x16_avx2,
                            .gemm_rows = 6,
                            .gemm_columns = 16,
                            .winograd_input = f32_winograd_input_4x3_avx2,
                            .winograd_output = f32_winograd_output_4x3_avx2,
                            .f32_fully_connected = f32_fully_connected_4x4_avx2,
                            .f16_fully_connected = f16_fully_connected_4x4_avx2,
                            .s8_fully_connected = s8_fully_connected_4x4_avx2};
constexpr KernelTable kAvx512{.name = "avx512",
                              .gemm = f32_gemm_14x32_avx512,
                              .gemm_rows = 14,
                              .gemm_columns = 32,
                              .winograd_input = f32_winograd_input_4x3_avx512,
                              .winograd_output = f32_winograd_output_4x3_avx512,
                              .f32_fully_connected = f32_fully_connected_4x4_avx512,
                              .f16_fully_connected = f16_fully_connected_4x4_avx512,
                              .s8_fully_connected = s8_fully_connected_4x4_avx512};
#elif defined(__aarch64__)
constexpr KernelTable kNeon{.name = "neon",
                            .gemm = f32_gemm_8x8_neon,
                            .gemm_rows = 8,
                            .gemm_columns = 8,
                            .winograd_input = f32_winograd_input_4x3_neon,
                            .winograd_output = f32_winograd_output_4x3_neon,
                            .f32_fully_connected = f32_fully_connected_4x4_neon,
                            .f16_fully_connected = f16_fully_connected_4x4_neon,
                            .s8_fully_connected = s8_fully_connected_4x4_neon};
#endif

std::vector<KernelTable> find_available() {
  std::vector<KernelTable> tables{kScalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (avx2) tables.push_back(kAvx2);
  if (avx2 && __builtin_cpu_supports("avx512f")) tables.push_back(kAvx512);
#elif defined(__aarch64__)
  tables.push_back(kNeon);
#endif
  return tables;
}

const KernelTable& choose() {
  const std::span<const KernelTable> tables = available_kernels();
  const char* wanted = std::getenv("CLEAVE_KERNELS");
  for (const KernelTable& table : tables) {
    if (wanted != nullptr && std::string_view(wanted) == table.name) return table;
  }
  return tables.back();
}

}  // namespace

std::span<const KernelTable> available_kernels() {
  static const std::vector<KernelTable> tables = find_available();
  return tables;
}

const KernelTable& active_kernels() {
  static const KernelTable& table = choose();
  return table;
}

}  // namespace cleave::kernels
