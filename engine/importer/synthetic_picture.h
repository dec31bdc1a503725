// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor.h"

namespace cleave::importer {

// A network input that varies as photos do, more over large distances than over small ones, in
// units of pixels (0..255) for a picture. The same on every machine. Any number of channels.
[[nodiscard]] std::vector<std::uint8_t> synthetic_picture(const fbs::Shape& shape,
                                                          std::uint64_t seed);

}  // namespace cleave::importer
