// SPDX-License-Identifier: Apache-2.0
#include "agent/disagreement.h"

#include <malloc.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "agent/device_caps.h"
#include "agent/stretch_runner.h"
#include "engine/aligned_buffer.h"
#include "engine/head_memory.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

// With as many, making the weights takes little beside running them.
constexpr std::size_t kMaxBatch = 64;

// The others fail whatever the picture is.
bool is_of_picture(const Status& status) {
  return status.code() != StatusCode::kInvalidArgument && status.code() != StatusCode::kInternal;
}

struct ComparedVariant {
  std::uint32_t index = 0;  // in the file
  std::optional<StretchRunner> runner;
  std::size_t differing = 0;
};

// All variants on a batch of pictures at a time, so that a variant's weights are made once a batch
// and a picture is decoded once. Nothing but the pixels is held while pictures are decoded.
class Comparison {
 public:
  Comparison(const std::shared_ptr<const ModelFile>& model, const DisagreementOptions& options,
             const ProfileData& profile);

  [[nodiscard]] bool has_others() const { return variants_.size() > 1; }
  Status run(std::span<const std::string> pictures);
  void note(ProfileData& profile) const;

 private:
  void add_variant(std::uint32_t index);
  Status make_room(std::size_t pictures);
  Result<std::size_t> make_runner(ComparedVariant& variant, std::uint64_t room_bytes,
                                  std::size_t wanted) const;
  Status decode(const std::string& name, std::span<std::uint8_t> pixels) const;
  Result<std::size_t> fill_batch(std::span<const std::string>& pictures);
  Result<std::vector<std::size_t>> classify(StretchRunner& runner, std::size_t pictures);
  Status compare_batch(std::size_t pictures);
  void advance(std::size_t ops);

  std::shared_ptr<const ModelFile> model_;
  const DisagreementOptions& options_;
  const fbs::Shape& shape_;
  std::vector<ComparedVariant> variants_;  // the file's first one leads
  std::size_t picture_ops_ = 0;            // of all of them
  AlignedBuffer pixels_;
  std::size_t batch_ = 1;
  std::uint64_t picture_room_bytes_ = 0;  // for a file and its decoder beside the pixels
  std::size_t done_ops_ = 0, total_ops_ = 0;
  std::size_t compared_ = 0;
};

const fbs::Shape& input_shape(const fbs::Model& model) {
  const fbs::Variant& first = *model.variants()->Get(0);
  return *first.tensors()->Get(first.input())->shape();  // every variant's
}

Comparison::Comparison(const std::shared_ptr<const ModelFile>& model,
                       const DisagreementOptions& options, const ProfileData& profile)
    : model_(model), options_(options), shape_(input_shape(model->header())) {
  const auto& variants = *model->header().variants();
  add_variant(0);
  for (std::uint32_t v = 1; v < variants.size(); ++v) {
    const std::string name = variants.Get(v)->name()->str();
    const auto table = std::ranges::find(profile.variants, name, &VariantProfile::variant);
    if (table != profile.variants.end()) add_variant(v);
  }
}

void Comparison::add_variant(std::uint32_t index) {
  variants_.push_back({.index = index, .runner = std::nullopt});
  picture_ops_ += model_->header().variants()->Get(index)->ops()->size();
}

// Shorter stretches leave more room for pictures, unless they end where much crosses: the longest
// of those that leave room for `wanted`, else for most. Gives for how many.
Result<std::size_t> Comparison::make_runner(ComparedVariant& variant, std::uint64_t room_bytes,
                                            std::size_t wanted) const {
  std::uint64_t budget = options_.weight_budget_bytes;
  std::size_t best = 0;
  for (bool is_last = false; !is_last && (!variant.runner || best < wanted); budget /= 2) {
    is_last = budget == 0;
    StretchRunner runner(model_, variant.index, options_.threads, budget, options_.weights);
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t fit, runner.pictures_within(room_bytes));
    if (variant.runner && fit <= best) continue;
    best = fit;
    variant.runner.emplace(std::move(runner));
  }
  return best;
}

// At most a quarter of the room is for the pixels: the rest is for a picture's file and decoder.
Status Comparison::make_room(std::size_t pictures) {
  ::malloc_trim(0);  // what measuring left
  const std::uint64_t room = options_.ram_bytes - std::min(options_.ram_bytes, resident_bytes());
  const std::size_t pixel_bytes = element_count(shape_);
  batch_ = static_cast<std::size_t>(
      std::min<std::uint64_t>({pictures, kMaxBatch, room / 4 / pixel_bytes}));
  batch_ = std::max<std::size_t>(batch_, 1);
  for (ComparedVariant& variant : variants_) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t fit, make_runner(variant, room, batch_));
    if (fit == 0) {
      return {StatusCode::kResourceExhausted,
              "comparing precisions: --ram leaves no room for one picture"};
    }
    batch_ = std::min(batch_, fit);
  }
  pixels_ = AlignedBuffer(batch_ * pixel_bytes);
  if (pixels_.data() == nullptr) {
    return {StatusCode::kResourceExhausted,
            "no memory for the pixels of " + std::to_string(batch_) + " pictures"};
  }
  const std::uint64_t held = batch_ * pixel_bytes + kHeadOtherBytes;
  picture_room_bytes_ = room - std::min(room, held);
  return Status::ok();
}

Status Comparison::decode(const std::string& name, std::span<std::uint8_t> pixels) const {
  PictureLimits limits;
  CLEAVE_ASSIGN_OR_RETURN(const auto file, read_picture_within(name, limits, picture_room_bytes_));
  limits.max_whole_picture_bytes =
      std::min(limits.max_whole_picture_bytes, picture_room_bytes_ - file.size());
  return decode_to_model_size(file, *model_->header().preprocessing(), shape_, limits, pixels)
      .with_context(name);
}

// Takes as many from the front of `pictures` as fill the batch; gives how many could be used.
Result<std::size_t> Comparison::fill_batch(std::span<const std::string>& pictures) {
  const std::size_t each = element_count(shape_);
  const std::span pixels(reinterpret_cast<std::uint8_t*>(pixels_.data()), batch_ * each);
  std::size_t filled = 0;
  for (; filled < batch_ && !pictures.empty(); pictures = pictures.subspan(1)) {
    const Status decoded = decode(pictures.front(), pixels.subspan(filled * each, each));
    if (decoded.is_ok()) {
      ++filled;
      continue;
    }
    if (!is_of_picture(decoded)) return decoded;
    if (options_.skipped) options_.skipped(pictures.front(), decoded);
    advance(picture_ops_);
  }
  ::malloc_trim(0);
  return filled;
}

// The best class of each picture of the batch.
Result<std::vector<std::size_t>> Comparison::classify(StretchRunner& runner, std::size_t pictures) {
  const std::span pixels(reinterpret_cast<const std::uint8_t*>(pixels_.data()),
                         pictures * element_count(shape_));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> scores,
                          runner.scores(pixels, [&](std::size_t ops) { advance(ops); }));
  runner.release();
  const std::size_t each = scores.size() / pictures;
  std::vector<std::size_t> classes;
  for (std::size_t i = 0; i < pictures; ++i) {
    classes.push_back(best_class(std::span(scores).subspan(i * each, each)));
  }
  return classes;
}

Status Comparison::compare_batch(std::size_t pictures) {
  if (pictures == 0) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(const auto expected, classify(*variants_[0].runner, pictures));
  for (ComparedVariant& variant : std::span(variants_).subspan(1)) {
    CLEAVE_ASSIGN_OR_RETURN(const auto found, classify(*variant.runner, pictures));
    for (std::size_t i = 0; i < pictures; ++i) {
      variant.differing += found[i] != expected[i] ? 1 : 0;
    }
  }
  compared_ += pictures;
  return Status::ok();
}

Status Comparison::run(std::span<const std::string> pictures) {
  CLEAVE_RETURN_IF_ERROR(make_room(pictures.size()));
  total_ops_ = pictures.size() * picture_ops_;
  while (!pictures.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t filled, fill_batch(pictures));
    CLEAVE_RETURN_IF_ERROR(compare_batch(filled));
  }
  return Status::ok();
}

void Comparison::advance(std::size_t ops) {
  done_ops_ += ops;
  if (options_.progress) options_.progress(done_ops_, total_ops_);
}

void Comparison::note(ProfileData& profile) const {
  for (const ComparedVariant& variant : std::span(variants_).subspan(1)) {
    const std::string name = model_->header().variants()->Get(variant.index)->name()->str();
    for (VariantProfile& table : profile.variants) {
      if (table.variant != name) continue;
      table.compared_pictures = static_cast<std::uint32_t>(compared_);
      table.differing_pictures = static_cast<std::uint32_t>(variant.differing);
    }
  }
}

}  // namespace

std::size_t best_class(std::span<const float> scores) {
  const auto better = [](float best, float score) { return score > best || best != best; };
  std::size_t best = 0;
  for (std::size_t i = 1; i < scores.size(); ++i) {
    if (better(scores[best], scores[i])) best = i;
  }
  return best;
}

Status measure_disagreement(const std::shared_ptr<const ModelFile>& model,
                            std::span<const std::string> pictures,
                            const DisagreementOptions& options, ProfileData& profile) {
  pictures = pictures.first(std::min<std::size_t>(pictures.size(), kMaxComparedPictures));
  Comparison comparison(model, options, profile);
  if (pictures.empty() || !comparison.has_others()) return Status::ok();
  CLEAVE_RETURN_IF_ERROR(comparison.run(pictures));
  comparison.note(profile);
  return Status::ok();
}

std::uint32_t disagreement_ppm(const fbs::Model& model, const VariantProfile& variant) {
  if (model.variants()->Get(0)->name()->string_view() == variant.variant) return 0;
  if (variant.compared_pictures == 0) return UINT32_MAX;
  const std::uint64_t compared = std::uint64_t{variant.compared_pictures} + 1;
  const std::uint64_t scaled = (std::uint64_t{variant.differing_pictures} + 1) * 1'000'000;
  return static_cast<std::uint32_t>((scaled + compared - 1) / compared);
}

}  // namespace cleave::agent
