// SPDX-License-Identifier: Apache-2.0
//
// The models a server holds: opened, packed and measured once at start, then shared read-only by
// every session and worker.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/cuts.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::server {

// One precision of one model, ready to run any tail.
struct LoadedVariant {
  std::shared_ptr<const Weights> weights;  // null: this build cannot run the precision
  std::vector<Cut> cuts;                   // by op boundary, 0..N
  fbs::Shape input_shape;
};

struct LoadedModel {
  std::shared_ptr<const ModelFile> file;
  std::vector<LoadedVariant> variants;
  ProfileData profile;                   // this machine's own time per op
  std::uint64_t max_boundary_bytes = 0;  // over all variants and cuts
};

class ModelStore {
 public:
  // Opens, packs and measures every file. Errors: as ModelFile::open and Weights::create, with the
  // path in front; kInvalidArgument when two files have one identity.
  static Result<std::unique_ptr<ModelStore>> load(std::span<const std::string> paths,
                                                  unsigned threads, unsigned profile_runs,
                                                  const WeightsOptions& weights = {});

  // Null when no such model is held. Thread-safe.
  [[nodiscard]] const LoadedModel* find(std::span<const std::uint8_t> identity) const;
  [[nodiscard]] std::span<const std::unique_ptr<LoadedModel>> models() const { return models_; }

 private:
  std::vector<std::unique_ptr<LoadedModel>> models_;
};

}  // namespace cleave::server
