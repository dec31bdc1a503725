// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kernels/arm_cores.h"

namespace cleave::kernels {
namespace {

constexpr KernelTable kScalar{.name = "scalar",
                              .gemm = f32_gemm_4x16_scalar,
                              .s16_gemm = s16_gemm_4x16_scalar,
                              .gemm_rows = 4,
                              .gemm_columns = 16,
                              .s8_store_rows = s8_store_rows_scalar,
                              .winograd_input_6 = f32_winograd_input_6_scalar,
                              .winograd_input_4 = f32_winograd_input_4_scalar,
                              .winograd_output_4x3 = f32_winograd_output_4x3_scalar,
                              .winograd_output_2x5 = f32_winograd_output_2x5_scalar,
                              .winograd_output_2x3 = f32_winograd_output_2x3_scalar,
                              .s8_winograd_input_6 = s8_winograd_input_6_scalar,
                              .s8_winograd_input_4 = s8_winograd_input_4_scalar,
                              .s8_winograd_output_4x3 = s8_winograd_output_4x3_scalar,
                              .s8_winograd_output_2x5 = s8_winograd_output_2x5_scalar,
                              .s8_winograd_output_2x3 = s8_winograd_output_2x3_scalar,
                              .f32_fully_connected = f32_fully_connected_scalar,
                              .f16_fully_connected = f16_fully_connected_scalar,
                              .s8_fully_connected = s8_fully_connected_scalar,
                              .resize_line = u8_resize_line_scalar,
                              .weigh_line = u8_weigh_line_scalar,
                              .s8_depthwise = s8_depthwise_scalar};
#if defined(__x86_64__)
constexpr KernelTable kAvx2{.name = "avx2",
                            .gemm = f32_gemm_6x16_avx2,
                            .s16_gemm = s16_gemm_6x16_avx2,
                            .gemm_rows = 6,
                            .gemm_columns = 16,
                            .s8_store_rows = s8_store_rows_avx2,
                            .winograd_input_6 = f32_winograd_input_6_avx2,
                            .winograd_input_4 = f32_winograd_input_4_avx2,
                            .winograd_output_4x3 = f32_winograd_output_4x3_avx2,
                            .winograd_output_2x5 = f32_winograd_output_2x5_avx2,
                            .winograd_output_2x3 = f32_winograd_output_2x3_avx2,
                            .s8_winograd_input_6 = s8_winograd_input_6_avx2,
                            .s8_winograd_input_4 = s8_winograd_input_4_avx2,
                            .s8_winograd_output_4x3 = s8_winograd_output_4x3_avx2,
                            .s8_winograd_output_2x5 = s8_winograd_output_2x5_avx2,
                            .s8_winograd_output_2x3 = s8_winograd_output_2x3_avx2,
                            .f32_fully_connected = f32_fully_connected_4x4_avx2,
                            .f16_fully_connected = f16_fully_connected_4x4_avx2,
                            .s8_fully_connected = s8_fully_connected_4x4_avx2,
                            .resize_line = u8_resize_line_avx2,
                            .weigh_line = u8_weigh_line_avx2,
                            .s8_depthwise = s8_depthwise_16_avx2};
constexpr KernelTable kAvx512{.name = "avx512",
                              .gemm = f32_gemm_14x32_avx512,
                              .s16_gemm = s16_gemm_14x32_avx512,
                              .gemm_rows = 14,
                              .gemm_columns = 32,
                              .s8_store_rows = s8_store_rows_avx512,
                              .winograd_input_6 = f32_winograd_input_6_avx512,
                              .winograd_input_4 = f32_winograd_input_4_avx512,
                              .winograd_output_4x3 = f32_winograd_output_4x3_avx512,
                              .winograd_output_2x5 = f32_winograd_output_2x5_avx512,
                              .winograd_output_2x3 = f32_winograd_output_2x3_avx512,
                              .s8_winograd_input_6 = s8_winograd_input_6_avx2,
                              .s8_winograd_input_4 = s8_winograd_input_4_avx2,
                              .s8_winograd_output_4x3 = s8_winograd_output_4x3_avx512,
                              .s8_winograd_output_2x5 = s8_winograd_output_2x5_avx512,
                              .s8_winograd_output_2x3 = s8_winograd_output_2x3_avx512,
                              .f32_fully_connected = f32_fully_connected_4x4_avx512,
                              .f16_fully_connected = f16_fully_connected_4x4_avx512,
                              .s8_fully_connected = s8_fully_connected_4x4_avx512,
                              .resize_line = u8_resize_line_avx2,
                              .weigh_line = u8_weigh_line_avx2,
                              .s8_depthwise = s8_depthwise_16_avx512};
#elif defined(__aarch64__)
constexpr KernelTable kNeon{.name = "neon",
                            .gemm = f32_gemm_8x8_neon,
                            .gemm_rows = 8,
                            .gemm_columns = 8,
                            .winograd_input_6 = f32_winograd_input_6_neon,
                            .winograd_input_4 = f32_winograd_input_4_neon,
                            .winograd_output_4x3 = f32_winograd_output_4x3_neon,
                            .winograd_output_2x5 = f32_winograd_output_2x5_neon,
                            .winograd_output_2x3 = f32_winograd_output_2x3_neon,
                            .f32_fully_connected = f32_fully_connected_4x4_neon,
                            .f16_fully_connected = f16_fully_connected_4x4_neon,
                            .s8_fully_connected = s8_fully_connected_4x4_neon,
                            .resize_line = u8_resize_line_scalar,
                            .weigh_line = u8_weigh_line_scalar};
constexpr KernelTable in_order(KernelTable table) {
  table.name = "neon_a53";
  table.gemm = f32_gemm_8x8_a53_neon;
  return table;
}
constexpr KernelTable kNeonA53 = in_order(kNeon);
#endif

#if defined(__x86_64__)
// clang 14 does not know the name "f16c".
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

std::vector<KernelTable> find_available() {
  std::vector<KernelTable> tables{kScalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  if (avx2) tables.push_back(kAvx2);
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  if (avx2 && avx512) {
    tables.push_back(kAvx512);
    // The same numbers in fewer steps.
    if (__builtin_cpu_supports("avx512vnni")) tables.back().s16_gemm = s16_gemm_14x32_avx512vnni;
  }
#elif defined(__aarch64__)
  tables.push_back(kNeon);
  // The last is the one that runs; the other is there to be named.
  tables.insert(all_cores_in_order() ? tables.end() : tables.end() - 1, kNeonA53);
#endif
  return tables;
}

// nullptr: CLEAVE_KERNELS names none of them.
const KernelTable* choose() {
  const std::span<const KernelTable> tables = available_kernels();
  const char* wanted = std::getenv("CLEAVE_KERNELS");
  if (wanted == nullptr || *wanted == '\0') return &tables.back();
  for (const KernelTable& table : tables) {
    if (std::string_view(wanted) == table.name) return &table;
  }
  return nullptr;
}

const KernelTable* chosen() {
  static const KernelTable* const table = choose();
  return table;
}

}  // namespace

std::span<const KernelTable> available_kernels() {
  static const std::vector<KernelTable> tables = find_available();
  return tables;
}

const KernelTable& active_kernels() {
  return chosen() != nullptr ? *chosen() : available_kernels().back();
}

Status check_kernel_choice() {
  if (chosen() != nullptr) return Status::ok();
  std::string names;
  for (const KernelTable& table : available_kernels()) names += std::string(" ") + table.name;
  return {
      StatusCode::kInvalidArgument,
      std::string("CLEAVE_KERNELS=") + std::getenv("CLEAVE_KERNELS") + ": this CPU has" + names};
}

}  // namespace cleave::kernels
