// SPDX-License-Identifier: Apache-2.0
#include "server/model_store.h"

#include <algorithm>
#include <utility>

#include "engine/executor.h"
#include "engine/image/prepare_timing.h"
#include "engine/profiler.h"
#include "schemas/wire_reader.h"

namespace cleave::server {
namespace {

// A zero input measures the same arithmetic as a picture: no kernel's time depends on values.
Result<VariantProfile> measure(const LoadedVariant& variant, unsigned threads, unsigned runs) {
  const auto op_count = static_cast<OpIndex>(variant.cuts.size() - 1);
  auto executor = Executor::create(variant.weights, {.threads = threads});
  if (!executor.is_ok()) return executor.status();
  CLEAVE_RETURN_IF_ERROR((*executor)->prepare({0, op_count}, 1));
  const BoundaryBuffer& input = (*executor)->inputs()[0];
  std::ranges::fill(input.f32(), 0.0F);
  CLEAVE_RETURN_IF_ERROR((*executor)->run());  // warm-up
  Profiler profiler(op_count, runs);
  for (unsigned i = 0; i < runs; ++i) CLEAVE_RETURN_IF_ERROR((*executor)->run(&profiler));

  VariantProfile profile;
  profile.threads = threads;
  profile.runs = runs;
  for (OpIndex op = 0; op < op_count; ++op) {
    profile.op_median_ns.push_back(profiler.median_ns(op));
    profile.op_p95_ns.push_back(profiler.percentile_ns(op, 95));
  }
  return profile;
}

Result<std::unique_ptr<LoadedModel>> load_one(const std::string& path, unsigned threads,
                                              unsigned profile_runs,
                                              const WeightsOptions& weights) {
  auto loaded = std::make_unique<LoadedModel>();
  CLEAVE_ASSIGN_OR_RETURN(loaded->file, ModelFile::open(path));
  const fbs::Model& model = loaded->file->header();
  loaded->profile.model_identity = loaded->file->identity();
  loaded->profile.processor = "server";
  const fbs::Variant& first = *model.variants()->Get(0);
  CLEAVE_ASSIGN_OR_RETURN(
      loaded->profile.input_ns,
      measure_picture_preparation_ns(*model.preprocessing(),
                                     *first.tensors()->Get(first.input())->shape(), profile_runs));
  for (std::uint32_t v = 0; v < model.variants()->size(); ++v) {
    const fbs::Variant& header = *model.variants()->Get(v);
    if (element_count(*header.tensors()->Get(header.output())->shape()) > kMaxScores) {
      return Status(StatusCode::kUnsupported, path + ": more scores than an answer can carry (" +
                                                  std::to_string(kMaxScores) + ")");
    }
    LoadedVariant variant;
    variant.cuts = find_cuts(model, v);
    variant.input_shape = *header.tensors()->Get(header.input())->shape();
    for (const Cut& cut : variant.cuts) {
      loaded->max_boundary_bytes = std::max(loaded->max_boundary_bytes, cut.boundary_bytes);
    }
    VariantProfile profile;
    CLEAVE_ASSIGN_OR_RETURN(variant.weights,
                            Weights::create(loaded->file, v, {0, header.ops()->size()}, weights));
    CLEAVE_ASSIGN_OR_RETURN(profile, measure(variant, threads, profile_runs));
    profile.variant = header.name()->str();
    loaded->profile.variants.push_back(std::move(profile));
    loaded->variants.push_back(std::move(variant));
  }
  return loaded;
}

}  // namespace

Result<std::unique_ptr<ModelStore>> ModelStore::load(std::span<const std::string> paths,
                                                     unsigned threads, unsigned profile_runs,
                                                     const WeightsOptions& weights) {
  auto store = std::make_unique<ModelStore>();
  for (const std::string& path : paths) {
    auto loaded = load_one(path, threads, profile_runs, weights);
    if (!loaded.is_ok()) return loaded.status();
    if (store->find((*loaded)->file->identity()) != nullptr) {
      return Status(StatusCode::kInvalidArgument,
                    path + ": the same model was given twice; name each model once");
    }
    store->models_.push_back(std::move(loaded).value());
  }
  return store;
}

const LoadedModel* ModelStore::find(std::span<const std::uint8_t> identity) const {
  for (const auto& model : models_) {
    if (std::ranges::equal(model->file->identity(), identity)) return model.get();
  }
  return nullptr;
}

}  // namespace cleave::server
