// SPDX-License-Identifier: Apache-2.0
#include "agent/model_parts.h"

#include <set>

#include "schemas/model_folder.h"

namespace cleave::agent {

Split held_split(const ModelFile& model, std::uint32_t variant) {
  const OpIndex held = held_ops(model, variant);
  Split deepest;
  for (const Split& split : list_splits(model.header(), variant)) {
    if (split.op_boundary <= held) deepest = split;
  }
  return deepest;
}

std::uint32_t best_held_variant(const ModelFile& model) {
  std::uint32_t best = 0;
  for (std::uint32_t i = 1; i < model.header().variants()->size(); ++i) {
    if (held_split(model, i).layers_on_device > held_split(model, best).layers_on_device) best = i;
  }
  return best;
}

Result<std::uint32_t> pick_variant(const ModelFile& model, const std::string& name) {
  if (name.empty()) return best_held_variant(model);
  const auto& variants = *model.header().variants();
  std::string names;
  for (std::uint32_t i = 0; i < variants.size(); ++i) {
    const fbs::Variant& variant = *variants.Get(i);
    if (variant.name()->string_view() == name) return i;
    names += (names.empty() ? "" : ", ") + variant.name()->str();
  }
  return Status(StatusCode::kNotFound, "--variant: the model has no '" + name + "', only " + names);
}

std::vector<std::uint32_t> missing_segments(const ModelFile& model, std::uint32_t variant,
                                            OpIndex ops) {
  const auto& list = *model.header().variants()->Get(variant)->ops();
  std::set<Sha256Digest> seen;
  std::vector<std::uint32_t> missing;
  for (OpIndex op = 0; op < ops; ++op) {
    if (list.Get(op)->segment() < 0) continue;
    const auto index = static_cast<std::uint32_t>(list.Get(op)->segment());
    if (model.has_segment(index)) continue;
    const fbs::Segment& segment = *model.header().segments()->Get(index);
    if (seen.insert(segment_sha256(segment)).second) missing.push_back(index);
  }
  return missing;
}

std::uint64_t segment_bytes(const ModelFile& model, const std::vector<std::uint32_t>& segments) {
  std::uint64_t bytes = 0;
  for (const std::uint32_t index : segments) {
    bytes += model.header().segments()->Get(index)->bytes();
  }
  return bytes;
}

std::uint64_t cached_bytes(const ModelFile& model, std::uint32_t variant, OpIndex ops,
                           Preference preference) {
  std::uint64_t bytes = 0;
  for (OpIndex op = 0; op < ops; ++op) {
    bytes += weight_cache_bytes(*model.header().variants()->Get(variant), op, preference);
  }
  return bytes;
}

}  // namespace cleave::agent
