// SPDX-License-Identifier: Apache-2.0
//
// Every operator of schemas/model.fbs as plain loops in double precision: what the engine is
// compared with. Slow, and meant to be read beside the schema.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "schemas/model_reader.h"

namespace cleave::test {

using Values = std::vector<float>;  // one picture's tensor, [height][width][channels]

// The output of op `index` for one picture.
[[nodiscard]] Values reference_op(const ModelFile& model, const fbs::Variant& variant,
                                  std::uint32_t index, const std::vector<Values>& inputs);

// All tensors of a variant for one picture, by tensor id.
[[nodiscard]] std::map<std::uint32_t, Values> reference_run(const ModelFile& model,
                                                            const fbs::Variant& variant,
                                                            const Values& input);

}  // namespace cleave::test
