// SPDX-License-Identifier: Apache-2.0
//
// How often a variant's best class is another than that of the file's first variant: what a user
// gives for a smaller or faster one. Measured on the user's own pictures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "agent/picture_source.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct DisagreementOptions {
  unsigned threads = 1;
  // What the whole process may hold. A picture that would take it beyond that cannot be used; the
  // pictures that are compared at once are as many as there is room for.
  std::uint64_t ram_bytes = UINT64_MAX;
  std::uint64_t weight_budget_bytes = UINT64_MAX;  // held at once, or those of one op
  WeightsOptions weights;
  PictureSkipped skipped;  // may be empty
  // May be empty: called with the ops that were run so far, of all pictures, and their number.
  std::function<void(std::size_t, std::size_t)> progress;
};

// Compares every variant that `profile` has with the file's first one on those of `pictures` that
// can be read and decoded, and notes in each of its tables on how many. Without such a picture, or
// of a file with one variant, nothing is noted.
// Errors: those of StretchRunner::scores(), and kResourceExhausted.
[[nodiscard]] Status measure_disagreement(const std::shared_ptr<const ModelFile>& model,
                                          std::span<const std::string> pictures,
                                          const DisagreementOptions& options, ProfileData& profile);

// The first of the highest; a score that is no number is no best one.
[[nodiscard]] std::size_t best_class(std::span<const float> scores);

// (differing + 1) / (compared + 1), rounded up: that none of some pictures differs does not make a
// variant exact, so a bound of 0 allows the first one alone, which differs from itself never. Of a
// variant that was not compared UINT32_MAX, which no bound allows.
[[nodiscard]] std::uint32_t disagreement_ppm(const fbs::Model& model,
                                             const VariantProfile& variant);

}  // namespace cleave::agent
