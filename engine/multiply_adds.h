// SPDX-License-Identifier: Apache-2.0
//
// The literature's measure of an op's work.
#pragma once

#include <cstdint>

#include "schemas/generated/model_generated.h"

namespace cleave {

// Every kernel element meets every output pixel once; fully connected outputs have one pixel. 0 for
// ops without weights. `op` is one of `variant`.
[[nodiscard]] std::uint64_t multiply_adds(const fbs::Variant& variant, const fbs::Op& op);

}  // namespace cleave
