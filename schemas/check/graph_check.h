// SPDX-License-Identifier: Apache-2.0
//
// Checks one variant of the model file (step 5 of schemas/model_format.md).
#pragma once

#include <cstdint>
#include <vector>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// REQUIRES: `model` has passed the Verifier, and its segments are placed. Sets
// `segment_used[i]` for every segment that the variant names (one entry per segment of the model).
[[nodiscard]] Status check_variant(const fbs::Model& model, const fbs::Variant& variant,
                                   std::vector<bool>& segment_used);

}  // namespace cleave
