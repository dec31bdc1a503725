// SPDX-License-Identifier: Apache-2.0
//
// neon_run_once KERNEL: runs one NEON kernel once on a small shape, for
// neon_instruction_counts.py to count its instructions under qemu. Prints how many multiply-adds
// that were; without a name, the names. Exit code 2 on a wrong name.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "engine/kernels/fully_connected.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kColumns = 8;
constexpr std::size_t kDepthBlocks = 16;
constexpr std::size_t kInputs = 512;
constexpr std::size_t kOutputs = 16;

alignas(64) std::array<float, 1 << 16> values;
alignas(64) std::array<float, 1 << 16> weights;
alignas(64) std::array<float, 1 << 16> results;

std::size_t run_gemm(GemmPanel* gemm, std::size_t rows) {
  gemm(rows, kDepthBlocks, values.data(), weights.data(), weights.data(), results.data(), kColumns);
  return rows * kColumns * kDepthBlocks * kGemmDepthBlock;
}

std::size_t run_fully_connected(FullyConnected* kernel, std::size_t batch) {
  kernel({.inputs = kInputs,
          .outputs = kOutputs,
          .batch = batch,
          .input = values.data(),
          .weights = weights.data(),
          .minimum = -1,
          .maximum = 1,
          .output = results.data()},
         0, kOutputs);
  return kInputs * kOutputs * batch;
}

std::size_t run_winograd_input(F32WinogradInput* kernel, std::size_t patch) {
  kernel({patch * kWinogradChannels, kWinogradChannels}, values.data(), results.data(),
         kWinogradChannels);
  return 0;
}

std::size_t run_winograd_output(F32WinogradOutput* kernel, std::size_t side) {
  kernel(values.data(), kWinogradChannels, {side * kWinogradChannels, kWinogradChannels},
         {weights.data(), -1, 1}, results.data());
  return 0;
}

struct Case {
  const char* name;
  std::size_t (*run)();
};

constexpr Case kCases[] = {
    {"f32_gemm_8x8_neon, 8 rows", [] { return run_gemm(f32_gemm_8x8_neon, 8); }},
    {"f32_gemm_8x8_neon, 7 rows", [] { return run_gemm(f32_gemm_8x8_neon, 7); }},
    {"f32_gemm_8x8_a53_neon, 8 rows", [] { return run_gemm(f32_gemm_8x8_a53_neon, 8); }},
    {"f32_gemm_8x8_a53_neon, 7 rows", [] { return run_gemm(f32_gemm_8x8_a53_neon, 7); }},
    {"f32_fully_connected_4x4_neon, 1 picture",
     [] { return run_fully_connected(f32_fully_connected_4x4_neon, 1); }},
    {"f16_fully_connected_4x4_neon, 1 picture",
     [] { return run_fully_connected(f16_fully_connected_4x4_neon, 1); }},
    {"s8_fully_connected_4x4_neon, 1 picture",
     [] { return run_fully_connected(s8_fully_connected_4x4_neon, 1); }},
    {"f32_fully_connected_4x4_neon, 4 pictures",
     [] { return run_fully_connected(f32_fully_connected_4x4_neon, 4); }},
    {"f16_fully_connected_4x4_neon, 4 pictures",
     [] { return run_fully_connected(f16_fully_connected_4x4_neon, 4); }},
    {"s8_fully_connected_4x4_neon, 4 pictures",
     [] { return run_fully_connected(s8_fully_connected_4x4_neon, 4); }},
    {"f32_winograd_input_6_neon, patch of 6x6",
     [] { return run_winograd_input(f32_winograd_input_6_neon, 6); }},
    {"f32_winograd_input_4_neon, patch of 4x4",
     [] { return run_winograd_input(f32_winograd_input_4_neon, 4); }},
    {"f32_winograd_output_4x3_neon, tile of 4x4",
     [] { return run_winograd_output(f32_winograd_output_4x3_neon, 4); }},
    {"f32_winograd_output_2x3_neon, tile of 2x2",
     [] { return run_winograd_output(f32_winograd_output_2x3_neon, 2); }},
    {"f32_winograd_output_2x5_neon, tile of 2x2",
     [] { return run_winograd_output(f32_winograd_output_2x5_neon, 2); }},
};

int run_once(const char* wanted) {
  for (const Case& it : kCases) {
    if (wanted == nullptr) {
      std::puts(it.name);
    } else if (std::strcmp(wanted, it.name) == 0) {
      std::printf("%zu\n", it.run());
      return 0;
    }
  }
  return wanted == nullptr ? 0 : 2;
}

}  // namespace
}  // namespace cleave::kernels

int main(int count, char** arguments) {
  return cleave::kernels::run_once(count > 1 ? arguments[1] : nullptr);
}
