// SPDX-License-Identifier: Apache-2.0
//
// The checks of a model's header that are not about one variant (steps 3, 4 and
// 6 to 8 of schemas/model_format.md).
#pragma once

#include <cstdint>
#include <span>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// The verified and checked header in `header`, for a file of `file_bytes`.
// REQUIRES: `header` is aligned to 8. Errors: kCorrupt, kUnsupported. Points into `header`.
[[nodiscard]] Result<const fbs::Model*> check_model_header(std::span<const std::byte> header,
                                                           std::uint64_t file_bytes);

}  // namespace cleave
