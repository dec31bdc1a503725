// SPDX-License-Identifier: Apache-2.0
//
// Unsigned integers in little endian, at any alignment, on any machine.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

namespace cleave {

// REQUIRES: offset + sizeof(T) <= bytes.size().
template <std::unsigned_integral T>
[[nodiscard]] T load_little_endian(std::span<const std::byte> bytes, std::size_t offset) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | static_cast<T>(std::to_integer<T>(bytes[offset + i]) << (8 * i)));
  }
  return value;
}

// REQUIRES: offset + sizeof(T) <= bytes.size().
template <std::unsigned_integral T>
void store_little_endian(std::span<std::byte> bytes, std::size_t offset, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[offset + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

}  // namespace cleave
