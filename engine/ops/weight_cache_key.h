// SPDX-License-Identifier: Apache-2.0
//
// Under which name an op's packed weights are found again: what decides their bytes.
#pragma once

#include "engine/preference.h"
#include "engine/tensor.h"
#include "engine/weight_cache_folder.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::ops {

// The key of op `index` of `variant` on this CPU with the kernels of this process. An op that both
// preferences pack alike has one key; what it is made of is in memory/weight_cache_format.md.
// REQUIRES: the op has a segment. Thread-safe; microseconds. Errors: kInternal (libcrypto).
[[nodiscard]] Result<WeightCacheKey> weight_cache_key(const fbs::Model& model,
                                                      const fbs::Variant& variant, OpIndex index,
                                                      Preference preference);

// Whether segment `index` has the hash that the header says. Packed weights are kept under that
// hash, so those of a damaged segment must not be. Reads the whole segment.
[[nodiscard]] Status check_segment(const ModelFile& model, std::uint32_t index);

}  // namespace cleave::ops
