// SPDX-License-Identifier: Apache-2.0
//
// Which of our kernels run on this CPU.
#pragma once

#include <span>

#include "engine/kernels/depthwise.h"
#include "engine/kernels/fully_connected.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/resize.h"
#include "engine/kernels/winograd.h"
#include "schemas/status.h"

namespace cleave::kernels {

// One implementation of each kernel, for one instruction set.
struct KernelTable {
  const char* name = "";  // "scalar", "avx2", "avx512", "neon_a53", "neon"
  GemmPanel* gemm = nullptr;
  S16GemmPanel* s16_gemm = nullptr;  // nullptr, and so all on int8 that needs it: XNNPACK
  std::size_t gemm_rows = 0;         // most rows of a call, of both products
  std::size_t gemm_columns = 0;      // columns of a panel; divides into 16s, or they into it
  S8StoreRows* s8_store_rows = nullptr;
  F32WinogradInput* winograd_input_6 = nullptr;
  F32WinogradInput* winograd_input_4 = nullptr;
  F32WinogradOutput* winograd_output_4x3 = nullptr;
  F32WinogradOutput* winograd_output_2x5 = nullptr;
  F32WinogradOutput* winograd_output_2x3 = nullptr;
  S8WinogradInput* s8_winograd_input_6 = nullptr;
  S8WinogradInput* s8_winograd_input_4 = nullptr;
  S8WinogradOutput* s8_winograd_output_4x3 = nullptr;
  S8WinogradOutput* s8_winograd_output_2x5 = nullptr;
  S8WinogradOutput* s8_winograd_output_2x3 = nullptr;
  FullyConnected* f32_fully_connected = nullptr;
  FullyConnected* f16_fully_connected = nullptr;
  FullyConnected* s8_fully_connected = nullptr;
  ResizeLine* resize_line = nullptr;
  WeighLine* weigh_line = nullptr;
  S8Depthwise* s8_depthwise = nullptr;  // nullptr: XNNPACK's is not known to be slower
};

// The table that the process uses: the last of available_kernels(), or the one that the environment
// variable CLEAVE_KERNELS names. Decided once. Thread-safe.
[[nodiscard]] const KernelTable& active_kernels();

// kInvalidArgument when CLEAVE_KERNELS names a table that this CPU does not have. Thread-safe.
[[nodiscard]] Status check_kernel_choice();

// Every table that this CPU can run, the slowest ("scalar") first. On Arm "neon" is the last, and
// "neon_a53" (the same bits, ordered for cores that issue in order) where all cores are Cortex-A53
// or A55. Thread-safe.
[[nodiscard]] std::span<const KernelTable> available_kernels();

}  // namespace cleave::kernels
