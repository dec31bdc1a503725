// SPDX-License-Identifier: Apache-2.0
#include "schemas/profile_reader.h"

#include <algorithm>
#include <string_view>

#include "schemas/atomic_file.h"
#include "schemas/check/vector_alignment.h"
#include "schemas/text_check.h"

namespace cleave {
namespace {

constexpr std::size_t kMaxTextBytes = 1024;
// 16 variants of 4096 ops and as many layers, two times of 8 bytes each, and 7 MiB of codings: 40
// bytes a cut and coding, far more than a network has that anybody would measure.
constexpr std::size_t kMaxProfileFileBytes = 8u << 20;
constexpr std::uint32_t kMaxProfileDepth = 8;
constexpr std::uint32_t kMaxProfileTables = 320;

Status check_times(const flatbuffers::Vector<std::uint64_t>& times) {
  if (!elements_aligned(times, alignof(std::uint64_t))) return corrupt("times are not aligned");
  const bool sound =
      std::ranges::all_of(times, [](std::uint64_t ns) { return ns <= kMaxProfileNs; });
  return sound ? Status::ok() : corrupt("an op's time is over an hour");
}

std::size_t size_of(const flatbuffers::Vector<std::uint64_t>* vector) {
  return vector == nullptr ? 0 : vector->size();
}

Status check_layers(const fbs::VariantProfile& variant) {
  const std::size_t layers = size_of(variant.layer_median_ns());
  if (layers > kMaxProfileLayers || size_of(variant.layer_p95_ns()) != layers) {
    return corrupt("not 0.." + std::to_string(kMaxProfileLayers) +
                   " medians of layers and as many 95th percentiles");
  }
  if (layers == 0) return Status::ok();
  CLEAVE_RETURN_IF_ERROR(check_times(*variant.layer_median_ns()).with_context("layer"));
  return check_times(*variant.layer_p95_ns()).with_context("layer");
}

Status check_coded(const fbs::CodedBytes& coded) {
  CLEAVE_RETURN_IF_ERROR(check_text(coded.variant()->string_view(), kMaxTextBytes));
  const auto& cuts = *coded.op_boundary();
  if (cuts.size() < 1 || cuts.size() > kMaxProfileOps + 1 ||
      coded.median_bytes()->size() != cuts.size() || coded.p95_bytes()->size() != cuts.size()) {
    return corrupt("not 1.." + std::to_string(kMaxProfileOps + 1) +
                   " cuts and as many medians and 95th percentiles");
  }
  if (!elements_aligned(cuts, alignof(std::uint32_t)) ||
      !elements_aligned(*coded.median_bytes(), alignof(std::uint64_t)) ||
      !elements_aligned(*coded.p95_bytes(), alignof(std::uint64_t))) {
    return corrupt("bytes are not aligned");
  }
  for (flatbuffers::uoffset_t i = 0; i < cuts.size(); ++i) {
    if (i > 0 && cuts.Get(i) <= cuts.Get(i - 1)) return corrupt("cuts are not ascending");
    if (cuts.Get(i) > kMaxProfileOps) return corrupt("a cut beyond the last op");
    if (coded.median_bytes()->Get(i) > kMaxCodedBytes ||
        coded.p95_bytes()->Get(i) > kMaxCodedBytes) {
      return corrupt("more bytes than a picture can have");
    }
  }
  return Status::ok();
}

bool has_one_each(const flatbuffers::Vector<std::uint64_t>* vector, std::size_t cuts) {
  return vector == nullptr || vector->size() == cuts;
}

// What version 4 brought. REQUIRES: check_coded() was ok.
Status check_measured(const fbs::CodedBytes& coded) {
  const std::size_t cuts = coded.op_boundary()->size();
  const auto* differing = coded.differing_pictures();
  if (!has_one_each(coded.encode_ns(), cuts) || !has_one_each(coded.decode_ns(), cuts) ||
      (differing != nullptr && differing->size() != cuts)) {
    return corrupt("not as many measurements as cuts");
  }
  for (const auto* times : {coded.encode_ns(), coded.decode_ns()}) {
    if (times != nullptr) CLEAVE_RETURN_IF_ERROR(check_times(*times));
  }
  if (coded.compared_pictures() > kMaxComparedPictures || coded.pictures() > kMaxComparedPictures) {
    return corrupt("over " + std::to_string(kMaxComparedPictures) + " pictures");
  }
  if (differing == nullptr) return Status::ok();
  if (!elements_aligned(*differing, alignof(std::uint32_t))) {
    return corrupt("counts are not aligned");
  }
  const bool sound = std::ranges::all_of(
      *differing, [&](std::uint32_t count) { return count <= coded.compared_pictures(); });
  return sound ? Status::ok() : corrupt("more pictures differ than were compared");
}

bool has_measurements(const fbs::CodedBytes& coded) {
  return coded.quality() != 0 || coded.pictures() != 0 || coded.encode_ns() != nullptr ||
         coded.decode_ns() != nullptr || coded.compared_pictures() != 0 ||
         coded.differing_pictures() != nullptr;
}

Status check_codings(const fbs::Profile& profile) {
  const std::size_t coded = profile.coded() == nullptr ? 0 : profile.coded()->size();
  const bool is_old = profile.format_version() < 4;
  const std::size_t most = is_old ? kMaxProfileCodedBefore4 : kMaxProfileCoded;
  if (coded > most) {
    return corrupt(std::to_string(coded) + " codings, at most " + std::to_string(most));
  }
  for (flatbuffers::uoffset_t i = 0; i < coded; ++i) {
    const fbs::CodedBytes& coding = *profile.coded()->Get(i);
    CLEAVE_RETURN_IF_ERROR(check_coded(coding).with_context("coding"));
    if (is_old && has_measurements(coding)) {
      return corrupt("version 2 or 3 with fields of version 4");
    }
    CLEAVE_RETURN_IF_ERROR(check_measured(coding).with_context("coding"));
  }
  return Status::ok();
}

// What version 2 brought.
Status check_additions(const fbs::Profile& profile) {
  CLEAVE_RETURN_IF_ERROR(check_codings(profile));
  for (const fbs::VariantProfile* variant : *profile.variants()) {
    CLEAVE_RETURN_IF_ERROR(check_layers(*variant).with_context("variant"));
  }
  return Status::ok();
}

bool has_comparison(const fbs::Profile& profile) {
  return std::ranges::any_of(*profile.variants(), [](const fbs::VariantProfile* variant) {
    return variant->compared_pictures() != 0 || variant->differing_pictures() != 0;
  });
}

// What version 3 brought.
Status check_comparisons(const fbs::Profile& profile) {
  for (const fbs::VariantProfile* variant : *profile.variants()) {
    if (variant->compared_pictures() > kMaxComparedPictures ||
        variant->differing_pictures() > variant->compared_pictures()) {
      return corrupt("more pictures differ than were compared, or over " +
                     std::to_string(kMaxComparedPictures));
    }
  }
  return Status::ok();
}

Status check_no_repetition(const fbs::Profile& profile) {
  const auto& variants = *profile.variants();
  for (flatbuffers::uoffset_t i = 0; i < variants.size(); ++i) {
    for (flatbuffers::uoffset_t j = 0; j < i; ++j) {
      if (variants.Get(i)->threads() == variants.Get(j)->threads() &&
          variants.Get(i)->variant()->string_view() == variants.Get(j)->variant()->string_view()) {
        return corrupt("a variant is there twice with the same number of threads");
      }
    }
  }
  return Status::ok();
}

bool has_additions(const fbs::Profile& profile) {
  if (profile.clock_khz() != 0 || profile.cores() != 0 || profile.sample_pictures() != 0 ||
      profile.coded() != nullptr) {
    return true;
  }
  return std::ranges::any_of(*profile.variants(), [](const fbs::VariantProfile* variant) {
    return variant->layer_median_ns() != nullptr || variant->layer_p95_ns() != nullptr;
  });
}

bool needs_version_4(const CodedBytes& coded) {
  return coded.quality != 0 || coded.pictures != 0 || !coded.encode_ns.empty() ||
         !coded.decode_ns.empty() || coded.compared_pictures != 0 ||
         !coded.differing_pictures.empty();
}

// The lowest version that holds what is there. Version 1 has one number of threads for a variant.
std::uint32_t version_of(const ProfileData& profile) {
  if (profile.coded.size() > kMaxProfileCodedBefore4 ||
      std::ranges::any_of(profile.coded, needs_version_4)) {
    return 4;
  }
  const auto was_compared = [](const VariantProfile& variant) {
    return variant.compared_pictures != 0 || variant.differing_pictures != 0;
  };
  if (std::ranges::any_of(profile.variants, was_compared)) return 3;
  if (profile.clock_khz != 0 || profile.cores != 0 || profile.sample_pictures != 0 ||
      !profile.coded.empty()) {
    return 2;
  }
  for (std::size_t i = 0; i < profile.variants.size(); ++i) {
    const VariantProfile& variant = profile.variants[i];
    const auto before = std::span(profile.variants).first(i);
    if (!variant.layer_median_ns.empty() || !variant.layer_p95_ns.empty() ||
        std::ranges::find(before, variant.variant, &VariantProfile::variant) != before.end()) {
      return 2;
    }
  }
  return 1;
}

Status check_variant_profile(const fbs::VariantProfile& variant) {
  CLEAVE_RETURN_IF_ERROR(check_text(variant.variant()->string_view(), kMaxTextBytes));
  if (variant.threads() == 0) return corrupt("threads is 0");
  const std::size_t ops = variant.op_median_ns()->size();
  if (ops < 1 || ops > kMaxProfileOps || variant.op_p95_ns()->size() != ops) {
    return corrupt("not 1.." + std::to_string(kMaxProfileOps) +
                   " medians and as many 95th percentiles");
  }
  CLEAVE_RETURN_IF_ERROR(check_times(*variant.op_median_ns()));
  return check_times(*variant.op_p95_ns());
}

template <typename T>
std::vector<T> values(const flatbuffers::Vector<T>* vector) {
  if (vector == nullptr) return {};
  return {vector->begin(), vector->end()};
}

VariantProfile to_data(const fbs::VariantProfile& variant) {
  return {.variant = variant.variant()->str(),
          .threads = variant.threads(),
          .runs = variant.runs(),
          .op_median_ns = {variant.op_median_ns()->begin(), variant.op_median_ns()->end()},
          .op_p95_ns = {variant.op_p95_ns()->begin(), variant.op_p95_ns()->end()},
          .layer_median_ns = values(variant.layer_median_ns()),
          .layer_p95_ns = values(variant.layer_p95_ns()),
          .compared_pictures = variant.compared_pictures(),
          .differing_pictures = variant.differing_pictures()};
}

CodedBytes to_data(const fbs::CodedBytes& coded) {
  return {.variant = coded.variant()->str(),
          .codec = coded.codec(),
          .op_boundary = {coded.op_boundary()->begin(), coded.op_boundary()->end()},
          .median_bytes = values(coded.median_bytes()),
          .p95_bytes = values(coded.p95_bytes()),
          .quality = coded.quality(),
          .pictures = coded.pictures(),
          .encode_ns = values(coded.encode_ns()),
          .decode_ns = values(coded.decode_ns()),
          .compared_pictures = coded.compared_pictures(),
          .differing_pictures = values(coded.differing_pictures())};
}

flatbuffers::Offset<fbs::VariantProfile> add_variant(flatbuffers::FlatBufferBuilder& builder,
                                                     const VariantProfile& variant) {
  const auto name = builder.CreateString(variant.variant);
  const auto median = builder.CreateVector(variant.op_median_ns);
  const auto p95 = builder.CreateVector(variant.op_p95_ns);
  flatbuffers::Offset<flatbuffers::Vector<std::uint64_t>> layer_median, layer_p95;
  if (!variant.layer_median_ns.empty() || !variant.layer_p95_ns.empty()) {
    layer_median = builder.CreateVector(variant.layer_median_ns);
    layer_p95 = builder.CreateVector(variant.layer_p95_ns);
  }
  return fbs::CreateVariantProfile(builder, name, variant.threads, variant.runs, median, p95,
                                   layer_median, layer_p95, variant.compared_pictures,
                                   variant.differing_pictures);
}

// Absent when there are none, so that older versions are written as they were.
template <typename T>
flatbuffers::Offset<flatbuffers::Vector<T>> add_if_any(flatbuffers::FlatBufferBuilder& builder,
                                                       const std::vector<T>& vector) {
  if (vector.empty()) return {};
  return builder.CreateVector(vector);
}

flatbuffers::Offset<fbs::CodedBytes> add_coded(flatbuffers::FlatBufferBuilder& builder,
                                               const CodedBytes& coded) {
  const auto name = builder.CreateString(coded.variant);
  const auto cuts = builder.CreateVector(coded.op_boundary);
  const auto median = builder.CreateVector(coded.median_bytes);
  const auto p95 = builder.CreateVector(coded.p95_bytes);
  const auto encode = add_if_any(builder, coded.encode_ns);
  const auto decode = add_if_any(builder, coded.decode_ns);
  const auto differing = add_if_any(builder, coded.differing_pictures);
  return fbs::CreateCodedBytes(builder, name, coded.codec, cuts, median, p95, coded.quality,
                               coded.pictures, encode, decode, coded.compared_pictures, differing);
}

using CodedVector = flatbuffers::Vector<flatbuffers::Offset<fbs::CodedBytes>>;

flatbuffers::Offset<CodedVector> add_all_coded(flatbuffers::FlatBufferBuilder& builder,
                                               const std::vector<CodedBytes>& all) {
  if (all.empty()) return {};
  std::vector<flatbuffers::Offset<fbs::CodedBytes>> offsets;
  for (const CodedBytes& coded : all) offsets.push_back(add_coded(builder, coded));
  return builder.CreateVector(offsets);
}

}  // namespace

Status check_profile(const fbs::Profile& profile) {
  if (profile.format_version() < 1 || profile.format_version() > kProfileFormatVersion) {
    return {StatusCode::kUnsupported, "profile format version " +
                                          std::to_string(profile.format_version()) +
                                          ": measure again with this build"};
  }
  if (profile.model_identity()->size() != std::tuple_size_v<Sha256Digest>) {
    return corrupt("model_identity is not 32 bytes");
  }
  CLEAVE_RETURN_IF_ERROR(
      check_text(profile.processor()->string_view(), kMaxTextBytes).with_context("processor"));
  if (profile.input_ns() > kMaxProfileNs) return corrupt("input_ns is over an hour");
  const std::size_t variants = profile.variants()->size();
  if (variants < 1 || variants > kMaxProfileVariants) {
    return corrupt(std::to_string(variants) + " variants, must be 1.." +
                   std::to_string(kMaxProfileVariants));
  }
  for (const fbs::VariantProfile* variant : *profile.variants()) {
    CLEAVE_RETURN_IF_ERROR(check_variant_profile(*variant).with_context("variant"));
  }
  CLEAVE_RETURN_IF_ERROR(check_no_repetition(profile));
  if (profile.format_version() < 3 && has_comparison(profile)) {
    return corrupt("version 1 or 2 with fields of version 3");
  }
  CLEAVE_RETURN_IF_ERROR(check_comparisons(profile));
  if (profile.format_version() >= 2) return check_additions(profile);
  return has_additions(profile) ? corrupt("version 1 with fields of version 2") : Status::ok();
}

const CodedBytes* find_coded(const ProfileData& profile, std::string_view variant,
                             std::uint8_t codec, std::uint8_t quality) {
  const auto found = std::ranges::find_if(profile.coded, [&](const CodedBytes& coded) {
    return coded.codec == codec && coded.quality == quality && coded.variant == variant;
  });
  return found == profile.coded.end() ? nullptr : &*found;
}

const VariantProfile* find_variant(const ProfileData& profile, std::string_view name) {
  const auto found = std::ranges::find(profile.variants, name, &VariantProfile::variant);
  return found == profile.variants.end() ? nullptr : &*found;
}

Result<ProfileData> profile_from_message(const fbs::Profile& profile) {
  CLEAVE_RETURN_IF_ERROR(check_profile(profile));
  ProfileData data;
  std::ranges::copy(*profile.model_identity(), data.model_identity.begin());
  data.processor = profile.processor()->str();
  data.input_ns = profile.input_ns();
  for (const fbs::VariantProfile* variant : *profile.variants()) {
    data.variants.push_back(to_data(*variant));
  }
  data.clock_khz = profile.clock_khz();
  data.cores = profile.cores();
  data.sample_pictures = profile.sample_pictures();
  if (profile.coded() == nullptr) return data;
  for (const fbs::CodedBytes* coded : *profile.coded()) data.coded.push_back(to_data(*coded));
  return data;
}

flatbuffers::Offset<fbs::Profile> build_profile(flatbuffers::FlatBufferBuilder& builder,
                                                const ProfileData& profile) {
  std::vector<flatbuffers::Offset<fbs::VariantProfile>> variants;
  for (const VariantProfile& variant : profile.variants) {
    variants.push_back(add_variant(builder, variant));
  }
  const auto variant_vector = builder.CreateVector(variants);
  const auto identity =
      builder.CreateVector(profile.model_identity.data(), profile.model_identity.size());
  const auto processor = builder.CreateString(clean_text(profile.processor, kMaxTextBytes));
  const auto coded = add_all_coded(builder, profile.coded);
  return fbs::CreateProfile(builder, version_of(profile), identity, processor, profile.input_ns,
                            variant_vector, profile.clock_khz, profile.cores,
                            profile.sample_pictures, coded);
}

Result<ProfileData> parse_profile(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxProfileFileBytes) return corrupt("too long to be a profile");
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 kMaxProfileDepth, kMaxProfileTables);
  if (!fbs::VerifyProfileBuffer(verifier)) return corrupt("not a cleave profile");
  return profile_from_message(*fbs::GetProfile(bytes.data()));
}

Result<ProfileData> read_profile(const std::string& path, const Sha256Digest& identity) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                          read_file(path, kMaxProfileFileBytes));
  auto profile = parse_profile(bytes);
  if (!profile.is_ok()) return profile.status().with_context(path);
  if (profile->model_identity != identity) {
    return Status(StatusCode::kMismatch,
                  path + ": measured with another model file; run `cleave-agent profile` again");
  }
  return profile;
}

Status write_profile(const std::string& path, const ProfileData& profile) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishProfileBuffer(builder, build_profile(builder, profile));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  if (const Status status = parse_profile(bytes).status(); !status.is_ok()) {
    return {StatusCode::kInvalidArgument, path + ": " + status.message()};
  }
  return write_file_atomically(path, bytes);
}

}  // namespace cleave
