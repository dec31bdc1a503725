// SPDX-License-Identifier: Apache-2.0
//
// Time per op on this device: measured, or from the table that `cleave-agent profile` wrote.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/tensor.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct MeasureOptions {
  unsigned threads = 1;
  unsigned runs = 5;
  // Weights held at once; the network is measured in stretches of ops that fit, at least one op.
  std::uint64_t weight_budget_bytes = UINT64_MAX;
  WeightsOptions weights = {};
  std::optional<std::uint32_t> variant = std::nullopt;  // only this one, else every one
};

// The longest range of ops from `first` whose weights, made with `preference`, fit; at least one
// op.
[[nodiscard]] OpRange next_stretch(const fbs::Variant& variant, OpIndex first,
                                   std::uint64_t budget_bytes, Preference preference);

// Measures the variants of `model`: a warm-up and `runs` counted runs of each stretch.
// `progress` (may be empty) is called after each stretch with ops done and their number.
Result<ProfileData> measure_profile(const std::shared_ptr<const ModelFile>& model,
                                    const MeasureOptions& options,
                                    const std::function<void(std::size_t, std::size_t)>& progress);

// Where `cleave-agent profile` writes unless told otherwise: beside the model file.
std::string default_profile_path(const std::string& model_path);

// The tables in `path` for this number of threads, if they are of this model, this processor and
// this preference. Errors: kNotFound, kCorrupt, kMismatch (says which).
Result<ProfileData> load_profile(const std::string& path, const ModelFile& model, unsigned threads,
                                 Preference preference = Preference::kSpeed);

}  // namespace cleave::agent
