// SPDX-License-Identifier: Apache-2.0
//
// The checks of a model's header, without its file (steps 3 to 8 of schemas/model_format.md): for
// the reader, and for a writer before it writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint32_t kMaxVariants = 16;
inline constexpr std::uint32_t kMaxOps = 4096;  // of a variant; also the most layers
inline constexpr std::uint32_t kMaxSegments = 65536;
inline constexpr std::size_t kMaxNameBytes = 4096;
inline constexpr std::size_t kMaxLabelBytes = 1024;
inline constexpr std::size_t kMaxLicenceBytes = 1u << 20;

// The verified and checked header in `header`, for a file of `file_bytes`.
// REQUIRES: `header` is aligned to 8. Errors: kCorrupt, kUnsupported. Points into `header`.
[[nodiscard]] Result<const fbs::Model*> check_model_header(std::span<const std::byte> header,
                                                           std::uint64_t file_bytes);

// The length of the file that `header` is the header of: where its last segment ends. The header is
// verified and checked as above. REQUIRES, errors: likewise.
[[nodiscard]] Result<std::uint64_t> checked_model_file_bytes(std::span<const std::byte> header);

}  // namespace cleave
