// SPDX-License-Identifier: Apache-2.0
//
// Which parts of a model a split needs, which of them a model folder has, and what the rest takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cuts.h"
#include "engine/preference.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"

namespace cleave::agent {

// The deepest split of the variant whose weights are all held.
[[nodiscard]] Split held_split(const ModelFile& model, std::uint32_t variant);

// The variant of which most is held, by layers; of several, the first. So a whole file gives the
// first.
[[nodiscard]] std::uint32_t best_held_variant(const ModelFile& model);

// The variant of that name; the one above when `name` is empty. Errors: kNotFound, with the names.
[[nodiscard]] Result<std::uint32_t> pick_variant(const ModelFile& model, const std::string& name);

// Segments of ops [0, ops) of the variant that are not held, in the order of the ops; of several
// with one content the first.
[[nodiscard]] std::vector<std::uint32_t> missing_segments(const ModelFile& model,
                                                          std::uint32_t variant, OpIndex ops);

// Bytes that fetching them adds to the folder.
[[nodiscard]] std::uint64_t segment_bytes(const ModelFile& model,
                                          const std::vector<std::uint32_t>& segments);

// What the packed weights of ops [0, ops) take in a weight cache.
[[nodiscard]] std::uint64_t cached_bytes(const ModelFile& model, std::uint32_t variant, OpIndex ops,
                                         Preference preference);

}  // namespace cleave::agent
