// SPDX-License-Identifier: Apache-2.0
//
// Elements as planes of bytes, so that the bytes which are alike stand together: of f32, sign and
// exponent in the last plane, and three of fraction.
#pragma once

#include <cstddef>
#include <span>

namespace cleave::codec {

// planes[p * count + i] = byte p of element i. REQUIRES: elements is 4 * count long, and planes
// too.
void split_planes(std::span<const std::byte> elements, std::size_t count,
                  std::span<std::byte> planes);

// The reverse.
void join_planes(std::span<const std::byte> planes, std::size_t count,
                 std::span<std::byte> elements);

}  // namespace cleave::codec
