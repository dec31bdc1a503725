// SPDX-License-Identifier: Apache-2.0
//
// IEEE 754 binary16 from and to binary32, by integers.
#pragma once

#include <bit>
#include <cstdint>

namespace cleave::kernels {

// Exact.
[[nodiscard]] inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000U} << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (magnitude << 13));
  // A subnormal half is a normal float. Never by way of a subnormal float: operators run with those
  // taken for zero.
  const float value = magnitude < 0x0400U ? static_cast<float>(magnitude) * 0x1p-24F
                                          : std::bit_cast<float>((magnitude << 13) + 0x38000000U);
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

// To the nearest, ties to even; beyond 65520 to infinity.
[[nodiscard]] inline std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    // Adding 0.5 leaves the subnormal's bits, rounded, at the end of the sum. (A subnormal float
    // may be taken for zero before; it is zero as a half in any case.)
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13));
}

}  // namespace cleave::kernels
