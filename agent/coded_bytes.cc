// SPDX-License-Identifier: Apache-2.0
#include "agent/coded_bytes.h"

#include <algorithm>
#include <utility>

#include "engine/cuts.h"
#include "engine/image/picture.h"
#include "schemas/generated/wire_generated.h"

namespace cleave::agent {
namespace {

// Nearest rank; `sorted` is not empty.
std::uint64_t percentile(const std::vector<std::uint64_t>& sorted, unsigned p) {
  const std::size_t rank = (sorted.size() * p + 99) / 100;
  return sorted[rank - 1];
}

CodedBytes at_split_0(const std::string& variant, fbs::Codec codec, std::uint64_t median,
                      std::uint64_t p95) {
  return {.variant = variant,
          .codec = static_cast<std::uint8_t>(codec),
          .op_boundary = {0},
          .median_bytes = {median},
          .p95_bytes = {p95}};
}

CodedBytes raw_tensors(const fbs::Model& model, std::uint32_t variant) {
  CodedBytes coded{.variant = model.variants()->Get(variant)->name()->str(),
                   .codec = static_cast<std::uint8_t>(fbs::Codec::Raw),
                   .op_boundary = {},
                   .median_bytes = {},
                   .p95_bytes = {}};
  const std::vector<Cut> cuts = find_cuts(model, variant);
  const OpIndex ops = model.variants()->Get(variant)->ops()->size();
  for (const Split& split : list_splits(model, variant)) {
    if (split.op_boundary == 0 || split.op_boundary == ops) continue;
    coded.op_boundary.push_back(split.op_boundary);
    coded.median_bytes.push_back(cuts[split.op_boundary].boundary_bytes);
  }
  coded.p95_bytes = coded.median_bytes;
  return coded;
}

// Adds the file's bytes, if it is a JPEG.
Status add_jpeg_size(const std::string& name, std::uint64_t room_bytes,
                     std::vector<std::uint64_t>& sizes) {
  CLEAVE_ASSIGN_OR_RETURN(const auto file, read_picture_within(name, PictureLimits{}, room_bytes));
  const auto format = detect_format(file);
  if (!format.is_ok()) return format.status().with_context(name);
  if (*format == PictureFormat::kJpeg) sizes.push_back(file.size());
  return Status::ok();
}

std::vector<std::uint64_t> jpeg_sizes(std::span<const std::string> pictures,
                                      std::uint64_t room_bytes, const PictureSkipped& skipped) {
  std::vector<std::uint64_t> sizes;
  for (const std::string& name : pictures) {
    const Status added = add_jpeg_size(name, room_bytes, sizes);
    if (!added.is_ok() && skipped) skipped(name, added);
  }
  std::ranges::sort(sizes);
  return sizes;
}

}  // namespace

void add_coded_bytes(const ModelFile& model, std::span<const std::string> pictures,
                     std::uint64_t room_bytes, const PictureSkipped& skipped,
                     ProfileData& profile) {
  const fbs::Model& header = model.header();
  const std::vector<std::uint64_t> jpegs = jpeg_sizes(pictures, room_bytes, skipped);
  profile.sample_pictures = static_cast<std::uint32_t>(jpegs.size());
  for (std::uint32_t v = 0; v < header.variants()->size(); ++v) {
    const fbs::Variant& variant = *header.variants()->Get(v);
    const std::string name = variant.name()->str();
    if (std::ranges::find(profile.variants, name, &VariantProfile::variant) ==
        profile.variants.end()) {
      continue;
    }
    if (CodedBytes raw = raw_tensors(header, v); !raw.op_boundary.empty()) {
      profile.coded.push_back(std::move(raw));
    }
    const std::uint64_t pixels = element_count(*variant.tensors()->Get(variant.input())->shape());
    profile.coded.push_back(at_split_0(name, fbs::Codec::PixelsU8, pixels, pixels));
    if (jpegs.empty()) continue;
    profile.coded.push_back(
        at_split_0(name, fbs::Codec::Jpeg, percentile(jpegs, 50), percentile(jpegs, 95)));
  }
}

}  // namespace cleave::agent
