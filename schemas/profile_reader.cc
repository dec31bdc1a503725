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
// 16 variants of 4096 ops, two times of 8 bytes each, and their names.
constexpr std::size_t kMaxProfileFileBytes = 2u << 20;
constexpr std::uint32_t kMaxVerifierDepth = 8;
constexpr std::uint32_t kMaxVerifierTables = 64;

Status corrupt(std::string message) { return {StatusCode::kCorrupt, std::move(message)}; }

Status check_times(const flatbuffers::Vector<std::uint64_t>& times) {
  if (!elements_aligned(times, alignof(std::uint64_t))) return corrupt("times are not aligned");
  const bool sound =
      std::ranges::all_of(times, [](std::uint64_t ns) { return ns <= kMaxProfileNs; });
  return sound ? Status::ok() : corrupt("an op's time is over an hour");
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

VariantProfile to_data(const fbs::VariantProfile& variant) {
  return {.variant = variant.variant()->str(),
          .threads = variant.threads(),
          .runs = variant.runs(),
          .op_median_ns = {variant.op_median_ns()->begin(), variant.op_median_ns()->end()},
          .op_p95_ns = {variant.op_p95_ns()->begin(), variant.op_p95_ns()->end()}};
}

flatbuffers::Offset<fbs::VariantProfile> add_variant(flatbuffers::FlatBufferBuilder& builder,
                                                     const VariantProfile& variant) {
  const auto name = builder.CreateString(variant.variant);
  const auto median = builder.CreateVector(variant.op_median_ns);
  const auto p95 = builder.CreateVector(variant.op_p95_ns);
  return fbs::CreateVariantProfile(builder, name, variant.threads, variant.runs, median, p95);
}

}  // namespace

Status check_profile(const fbs::Profile& profile) {
  if (profile.format_version() != kProfileFormatVersion) {
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
  return Status::ok();
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
  return fbs::CreateProfile(builder, kProfileFormatVersion, identity, processor, profile.input_ns,
                            variant_vector);
}

Result<ProfileData> parse_profile(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxProfileFileBytes) return corrupt("too long to be a profile");
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 kMaxVerifierDepth, kMaxVerifierTables);
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
