// SPDX-License-Identifier: Apache-2.0
//
// Networks that many tests use, each small enough to reason about.
#pragma once

#include "tests/support/model_builder.h"

namespace cleave::test {

// Every operator of model.fbs once or more, a skip connection, a fused clamp, a grouped
// convolution, a broadcast; 8x8x3 to 5 scores, 17 ops, 4 segments, labels.
[[nodiscard]] ModelBuilder all_ops_model();

// No weights, so that the file is nothing but its header: 6x6x1, max pool, Lrn, global average.
[[nodiscard]] ModelBuilder weightless_model();

// Every optional part of the header: one segment, quantization parameters, preprocessing with a
// crop, labels, licence, self-test (its scores are made up), codec table. 4x4x3 to 3 scores.
[[nodiscard]] ModelBuilder full_header_model();

}  // namespace cleave::test
