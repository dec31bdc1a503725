// SPDX-License-Identifier: Apache-2.0
#include "server/model_store.h"

#include <algorithm>
#include <utility>

#include "engine/executor.h"
#include "engine/image/picture.h"
#include "engine/image/prepare_timing.h"
#include "engine/profiler.h"
#include "schemas/text_check.h"
#include "schemas/wire_reader.h"
#include "server/decode_times.h"

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

// A codec that its own model file spoils is an error of the file, found before anybody asks for it.
Status find_codecs(std::uint32_t index, LoadedModel& loaded, LoadedVariant& variant) {
  for (const Cut& cut : variant.cuts) {
    std::vector<CodecLimit>& limits = variant.codecs.emplace_back();
    for (const CodecChoice& choice : codecs_at(*loaded.file, index, cut.op_boundary)) {
      CLEAVE_ASSIGN_OR_RETURN(const auto codec,
                              BoundaryCodec::create(*loaded.file, index, cut.op_boundary, choice));
      const std::uint64_t most = codec->max_encoded_bytes();
      limits.push_back({.choice = choice, .max_encoded_bytes = most});
      const bool is_raw = choice.codec == fbs::Codec::Raw;
      loaded.max_attachment_bytes = std::max(loaded.max_attachment_bytes, most);
      loaded.max_payload_bytes =
          std::max(loaded.max_payload_bytes, most + (is_raw ? 0 : cut.boundary_bytes));
    }
  }
  return Status::ok();
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
    variant.takes_pictures = takes_pictures(*model.preprocessing(), variant.input_shape);
    CLEAVE_RETURN_IF_ERROR(find_codecs(v, *loaded, variant).with_context(path));
    VariantProfile profile;
    CLEAVE_ASSIGN_OR_RETURN(variant.weights,
                            Weights::create(loaded->file, v, {0, header.ops()->size()}, weights));
    CLEAVE_ASSIGN_OR_RETURN(profile, measure(variant, threads, profile_runs));
    profile.variant = header.name()->str();
    loaded->profile.variants.push_back(std::move(profile));
    CLEAVE_RETURN_IF_ERROR(add_decode_times(*loaded->file, v, variant, loaded->profile));
    loaded->variants.push_back(std::move(variant));
  }
  loaded->op_times = loaded->profile;
  loaded->op_times.coded.clear();
  return loaded;
}

}  // namespace

const CodecLimit* LoadedVariant::find_codec(OpIndex cut, const CodecChoice& choice) const {
  const auto found = std::ranges::find(codecs[cut], choice, &CodecLimit::choice);
  return found == codecs[cut].end() ? nullptr : &*found;
}

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
    store->add(std::move(loaded).value());
  }
  return store;
}

void ModelStore::add(std::unique_ptr<LoadedModel> model) {
  const ModelFile& file = *model->file;
  contents_[file.identity()] = {&file, file.header_bytes()};
  const auto* segments = file.header().segments();
  for (std::uint32_t i = 0; segments != nullptr && i < segments->size(); ++i) {
    Sha256Digest digest;
    std::ranges::copy(*segments->Get(i)->sha256(), digest.begin());
    contents_[digest] = {&file, file.segment(i)};
  }
  models_.push_back(std::move(model));
}

const LoadedModel* ModelStore::find(std::span<const std::uint8_t> identity) const {
  for (const auto& model : models_) {
    if (std::ranges::equal(model->file->identity(), identity)) return model.get();
  }
  return nullptr;
}

const LoadedModel* ModelStore::current(std::string_view name) const {
  const auto has_name = [&](const auto& model) {
    return clean_text(model->file->header().name()->string_view(), kMaxTextBytes) == name;
  };
  const auto last = std::ranges::find_if(models_.rbegin(), models_.rend(), has_name);
  return last == models_.rend() ? nullptr : last->get();
}

FetchableContent ModelStore::find_content(std::span<const std::uint8_t, 32> sha256) const {
  Sha256Digest digest;
  std::ranges::copy(sha256, digest.begin());
  const auto found = contents_.find(digest);
  return found == contents_.end() ? FetchableContent{} : found->second;
}

}  // namespace cleave::server
