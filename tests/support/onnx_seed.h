// SPDX-License-Identifier: Apache-2.0
//
// Gives a model whose weights are all the same constant real ones, so that it tests arithmetic.
#pragma once

#include <cstdint>

#include "engine/importer/generated/onnx.pb.h"

namespace cleave::test {

// Replaces every ConstantOfShape by an initializer of its shape: tensors of two and four dimensions
// uniform with He's deviation, sqrt(2 / fan_in), so that signals keep their size; vectors small.
// Returns how many were replaced.
int seed_constant_weights(onnx::ModelProto& model, std::uint64_t seed);

}  // namespace cleave::test
