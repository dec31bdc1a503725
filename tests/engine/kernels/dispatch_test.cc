// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/dispatch.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string_view>

namespace cleave::test {
namespace {

TEST_CASE("the scalar table is always there, and each table is whole") {
  CHECK(std::string_view(kernels::available_kernels().front().name) == "scalar");
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    CHECK((table.gemm != nullptr));
    CHECK(table.gemm_rows > 0);
    CHECK(table.gemm_columns % 4 == 0);
    CHECK(table.gemm_rows <= kernels::kMostGemmRows);
    CHECK(table.gemm_columns <= kernels::kMostGemmColumns);
    CHECK((table.winograd_input_6 != nullptr));
    CHECK((table.winograd_input_4 != nullptr));
    CHECK((table.winograd_output_2x3 != nullptr));
    CHECK((table.winograd_output_4x3 != nullptr));
    CHECK((table.winograd_output_2x5 != nullptr));
    // All parts of convolutions on int8, or none.
    CHECK((table.s16_gemm == nullptr) == (table.s8_store_rows == nullptr));
    CHECK((table.s16_gemm == nullptr) == (table.s8_winograd_input_6 == nullptr));
    CHECK((table.s16_gemm == nullptr) == (table.s8_winograd_input_4 == nullptr));
    CHECK((table.s16_gemm == nullptr) == (table.s8_winograd_output_2x3 == nullptr));
    CHECK((table.s16_gemm == nullptr) == (table.s8_winograd_output_4x3 == nullptr));
    CHECK((table.s16_gemm == nullptr) == (table.s8_winograd_output_2x5 == nullptr));
    CHECK((table.f32_fully_connected != nullptr));
    CHECK((table.f16_fully_connected != nullptr));
    CHECK((table.s8_fully_connected != nullptr));
    CHECK((table.resize_line != nullptr));
    CHECK((table.weigh_line != nullptr));
  }
}

TEST_CASE("the environment chooses, else the fastest runs; a name that is not there is refused") {
  const char* wanted = std::getenv("CLEAVE_KERNELS");
  const std::string_view active = kernels::active_kernels().name;
  bool available = wanted == nullptr;
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    if (wanted != nullptr && std::string_view(wanted) == table.name) {
      available = true;
      CHECK(active == table.name);
    }
  }
  if (wanted == nullptr || !available) CHECK(active == kernels::available_kernels().back().name);
  CHECK(kernels::check_kernel_choice().is_ok() == available);
}

}  // namespace
}  // namespace cleave::test
