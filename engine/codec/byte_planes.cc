// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/byte_planes.h"

#include <cstdint>
#include <cstring>

namespace cleave::codec {

void split_planes(std::span<const std::byte> elements, std::size_t count,
                  std::span<std::byte> planes) {
  const std::byte* from = elements.data();
  std::byte* to = planes.data();
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = from[4 * i];
    to[count + i] = from[4 * i + 1];
    to[2 * count + i] = from[4 * i + 2];
    to[3 * count + i] = from[4 * i + 3];
  }
}

void join_planes(std::span<const std::byte> planes, std::size_t count,
                 std::span<std::byte> elements) {
  const std::byte* from = planes.data();
  std::byte* to = elements.data();
  for (std::size_t i = 0; i < count; ++i) {
    to[4 * i] = from[i];
    to[4 * i + 1] = from[count + i];
    to[4 * i + 2] = from[2 * count + i];
    to[4 * i + 3] = from[3 * count + i];
  }
}

}  // namespace cleave::codec
