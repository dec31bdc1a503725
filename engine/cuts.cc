// SPDX-License-Identifier: Apache-2.0
#include "engine/cuts.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <string>

#include "engine/memory/lifetime.h"

namespace cleave {
namespace {

const fbs::Variant& variant_of(const fbs::Model& model, std::uint32_t variant) {
  return *model.variants()->Get(variant);
}

// The op boundary after `layers` layers.
OpIndex boundary_of(const fbs::Variant& variant, std::uint32_t layers) {
  return layers == 0 ? 0 : variant.layer_end_ops()->Get(layers - 1);
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// Up to three names, the most alike first.
std::string nearest_names(const fbs::Model& model, std::string_view text) {
  static constexpr std::size_t kShown = 3;
  // What is longer than this was not meant as a layer's name.
  text = text.substr(0, 256);
  std::vector<std::pair<std::size_t, std::uint32_t>> ranked;
  for (std::uint32_t layer = 0; layer < model.layers()->size(); ++layer) {
    const std::string_view name = model.layers()->Get(layer)->name()->string_view();
    ranked.emplace_back(edit_distance(text, name.substr(0, 256)), layer);
  }
  std::sort(ranked.begin(), ranked.end());
  std::string names;
  for (std::size_t i = 0; i < std::min(kShown, ranked.size()); ++i) {
    if (i > 0) names += ", ";
    names += model.layers()->Get(ranked[i].second)->name()->str();
  }
  return names;
}

Result<Split> split_at_op(const fbs::Variant& variant, std::string_view number) {
  const OpIndex op_count = variant.ops()->size();
  const std::optional<std::uint64_t> boundary = parse_number(number);
  if (!boundary.has_value() || *boundary > op_count) {
    return Status{StatusCode::kOutOfRange, "split op:" + std::string(number) +
                                               ": must be op:0 to op:" + std::to_string(op_count)};
  }
  Split split{.layers_on_device = 0, .op_boundary = static_cast<OpIndex>(*boundary)};
  const std::uint32_t layers = variant.layer_end_ops()->size();
  while (split.layers_on_device < layers &&
         boundary_of(variant, split.layers_on_device + 1) <= split.op_boundary) {
    ++split.layers_on_device;
  }
  return split;
}

}  // namespace

std::vector<Cut> find_cuts(const fbs::Model& model, std::uint32_t variant_index) {
  const fbs::Variant& variant = variant_of(model, variant_index);
  const std::vector<Lifetime> lifetimes = find_lifetimes(variant);
  std::vector<Cut> cuts;
  cuts.reserve(variant.ops()->size() + std::size_t{1});
  for (OpIndex boundary = 0; boundary <= variant.ops()->size(); ++boundary) {
    Cut cut{.op_boundary = boundary,
            .boundary_tensors = tensors_crossing(lifetimes, boundary),
            .boundary_bytes = 0};
    for (const TensorId tensor : cut.boundary_tensors) {
      cut.boundary_bytes += tensor_bytes(*variant.tensors()->Get(tensor));
    }
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

std::vector<Split> list_splits(const fbs::Model& model, std::uint32_t variant_index) {
  const fbs::Variant& variant = variant_of(model, variant_index);
  std::vector<Split> splits{{.layers_on_device = 0, .op_boundary = 0}};
  for (std::uint32_t layers = 1; layers <= variant.layer_end_ops()->size(); ++layers) {
    const Split split{.layers_on_device = layers, .op_boundary = boundary_of(variant, layers)};
    if (split.op_boundary == 0) continue;
    if (split.op_boundary == splits.back().op_boundary) {
      splits.back() = split;
    } else {
      splits.push_back(split);
    }
  }
  return splits;
}

Result<Split> parse_split(const fbs::Model& model, std::uint32_t variant_index,
                          std::string_view text) {
  const fbs::Variant& variant = variant_of(model, variant_index);
  const std::uint32_t layer_count = variant.layer_end_ops()->size();
  if (text == "all") return Split{layer_count, boundary_of(variant, layer_count)};
  if (text.starts_with("op:")) return split_at_op(variant, text.substr(3));
  if (const std::optional<std::uint64_t> layers = parse_number(text)) {
    if (*layers > layer_count) {
      return Status{StatusCode::kOutOfRange, "split " + std::string(text) + ": must be 0 to " +
                                                 std::to_string(layer_count) + " layers"};
    }
    const auto k = static_cast<std::uint32_t>(*layers);
    return Split{k, boundary_of(variant, k)};
  }
  for (std::uint32_t layer = 0; layer < layer_count; ++layer) {
    if (model.layers()->Get(layer)->name()->string_view() == text) {
      return Split{layer + 1, boundary_of(variant, layer + 1)};
    }
  }
  return Status{StatusCode::kNotFound, "no layer is named \"" + std::string(text) +
                                           "\"; the nearest are: " + nearest_names(model, text)};
}

}  // namespace cleave
