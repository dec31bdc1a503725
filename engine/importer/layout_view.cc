// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/layout_view.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace cleave::importer {
namespace {

constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kTooMany = -1;
// VGG has 25,088; an order is as many numbers, whatever the size of the weights that came with it.
constexpr std::int64_t kMaxFlattened = 1 << 24;

std::int64_t axis_extent(const Hwc& shape, std::uint32_t channel_groups, Axis axis) {
  switch (axis) {
    case Axis::kBatch:
      return 1;
    case Axis::kHeight:
      return shape.height;
    case Axis::kWidth:
      return shape.width;
    case Axis::kChannel:
      return shape.channels;
    case Axis::kChannelGroup:
      return channel_groups;
    case Axis::kChannelMember:
      return shape.channels / channel_groups;
  }
  return 1;
}

// a * b for non-negative numbers, or kTooMany beyond what a tensor may hold.
std::int64_t capped_product(std::int64_t a, std::int64_t b) {
  if (a == kTooMany || b == kTooMany) return kTooMany;
  if (a != 0 && b > kMaxElements / a) return kTooMany;
  return a * b;
}

std::int64_t element_total(const Hwc& shape) {
  return capped_product(capped_product(shape.height, shape.width), shape.channels);
}

LayoutView view_of_order(const Hwc& shape, std::initializer_list<Axis> order) {
  LayoutView view;
  for (const Axis axis : order) {
    const bool shown = axis == Axis::kBatch || axis_extent(shape, 1, axis) != 1;
    view.dims.push_back(shown ? ViewDim{axis} : ViewDim{});
  }
  return view;
}

std::string extents_text(std::span<const std::int64_t> extents) {
  std::string text = "[";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (i != 0) text += ',';
    text += std::to_string(extents[i]);
  }
  return text + "]";
}

// `extents` with its -1 replaced by what is left of `total` elements.
Result<std::vector<std::int64_t>> resolve_extents(std::span<const std::int64_t> extents,
                                                  std::int64_t total) {
  const auto wrong = [&](StatusCode code, const char* why) {
    return Status(code, "reshape to " + extents_text(extents) + " " + why);
  };
  std::vector<std::int64_t> resolved(extents.begin(), extents.end());
  std::int64_t known = 1;
  auto inferred = resolved.end();
  for (auto it = resolved.begin(); it != resolved.end(); ++it) {
    if (*it == -1) {
      if (inferred != resolved.end()) return wrong(StatusCode::kCorrupt, "has two unknown extents");
      inferred = it;
      continue;
    }
    if (*it < 1) return wrong(StatusCode::kCorrupt, "has an extent below 1");
    known = capped_product(known, *it);
  }
  if (total == kTooMany || known == kTooMany) {
    return wrong(StatusCode::kUnsupported, "has too many elements");
  }
  if (inferred != resolved.end()) {
    *inferred = total / known;
    known *= *inferred;
  }
  if (known != total) {
    return wrong(StatusCode::kCorrupt,
                 ("does not have " + std::to_string(total) + " elements").c_str());
  }
  return resolved;
}

// Deals the axes of a view out to the dimensions of a reshape, in their order.
class DimFiller {
 public:
  DimFiller(std::span<const std::int64_t> target, std::uint32_t channel_groups)
      : target_(target), result_{std::vector<ViewDim>(target.size()), channel_groups} {}

  // False when the axis does not go whole into the dimension being filled, or the next.
  bool place(Axis axis, std::int64_t extent) {
    if (axis == Axis::kBatch) {
      place_batch();
      return true;
    }
    while (index_ < target_.size() && filled_ == target_[index_]) close_dim();
    if (index_ == target_.size() || target_[index_] % (filled_ * extent) != 0) return false;
    result_.dims[index_].push_back(axis);
    filled_ *= extent;
    return true;
  }

  // Into groups that fill the dimension at hand, and members that go on from there.
  bool place_split_channels(std::int64_t channels) {
    if (index_ == target_.size() || target_[index_] % filled_ != 0) return false;
    const std::int64_t groups = target_[index_] / filled_;
    if (groups <= 1 || groups >= channels || channels % groups != 0) return false;
    result_.channel_groups = static_cast<std::uint32_t>(groups);
    return place(Axis::kChannelGroup, groups) && place(Axis::kChannelMember, channels / groups);
  }

  LayoutView take() { return std::move(result_); }

 private:
  // The batch has extent 1 here and could stand in any dimension; it takes one of its own when the
  // reshape has one at this place, else it leads the dimension being filled.
  void place_batch() {
    const bool belongs_to_next =
        !result_.dims[index_].empty() && index_ + 1 < target_.size() && target_[index_ + 1] == 1;
    if (filled_ == target_[index_] && belongs_to_next) close_dim();
    result_.dims[index_].push_back(Axis::kBatch);
  }

  void close_dim() {
    ++index_;
    filled_ = 1;
  }

  std::span<const std::int64_t> target_;
  LayoutView result_;
  std::size_t index_ = 0;
  std::int64_t filled_ = 1;  // product of the axes already in dimension `index_`
};

// The view with `first` and then `second`, where they follow each other in a dimension, replaced by
// whole channels; and whether there was such a place.
std::pair<LayoutView, bool> with_joined(LayoutView view, Axis first, Axis second) {
  for (ViewDim& dim : view.dims) {
    const auto at = std::adjacent_find(dim.begin(), dim.end(),
                                       [&](Axis a, Axis b) { return a == first && b == second; });
    if (at == dim.end()) continue;
    *at = Axis::kChannel;
    dim.erase(at + 1);
    view.channel_groups = 1;
    return {std::move(view), true};
  }
  return {std::move(view), false};
}

}  // namespace

LayoutView view_nchw(const Hwc& shape) {
  return view_of_order(shape, {Axis::kBatch, Axis::kChannel, Axis::kHeight, Axis::kWidth});
}

LayoutView view_nhwc(const Hwc& shape) {
  return view_of_order(shape, {Axis::kBatch, Axis::kHeight, Axis::kWidth, Axis::kChannel});
}

std::vector<std::int64_t> view_extents(const LayoutView& view, const Hwc& shape) {
  std::vector<std::int64_t> extents;
  for (const ViewDim& dim : view.dims) {
    std::int64_t extent = 1;
    for (const Axis axis : dim) extent *= axis_extent(shape, view.channel_groups, axis);
    extents.push_back(extent);
  }
  return extents;
}

Result<LayoutView> reshape_view(const LayoutView& view, const Hwc& shape,
                                std::span<const std::int64_t> extents, SplitChannels split) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> target,
                          resolve_extents(extents, element_total(shape)));
  ViewDim order;
  for (const ViewDim& dim : view.dims) order.insert(order.end(), dim.begin(), dim.end());
  if (target.empty()) {
    if (std::any_of(order.begin(), order.end(), [](Axis a) { return a != Axis::kBatch; })) {
      return Status(StatusCode::kUnsupported, "reshape to a scalar");
    }
    return LayoutView{};
  }
  DimFiller filler(target, view.channel_groups);
  for (const Axis axis : order) {
    const std::int64_t extent = axis_extent(shape, view.channel_groups, axis);
    const bool may_split = axis == Axis::kChannel && split == SplitChannels::kAllow;
    if (filler.place(axis, extent) || (may_split && filler.place_split_channels(extent))) continue;
    return Status(StatusCode::kUnsupported,
                  "reshape to " + extents_text(extents) + " splits an axis of the image");
  }
  return with_joined(filler.take(), Axis::kChannelGroup, Axis::kChannelMember).first;
}

std::optional<LayoutView> shuffled_view(const LayoutView& view) {
  auto [joined, found] = with_joined(view, Axis::kChannelMember, Axis::kChannelGroup);
  if (!found) return std::nullopt;
  return std::move(joined);
}

std::vector<std::uint32_t> shuffle_order(std::uint32_t channels, std::uint32_t groups) {
  std::vector<std::uint32_t> order;
  order.reserve(channels);
  const std::uint32_t members = channels / groups;
  for (std::uint32_t c = 0; c < channels; ++c) order.push_back(c % groups * members + c / groups);
  return order;
}

Result<LayoutView> transpose_view(const LayoutView& view,
                                  std::span<const std::int64_t> permutation) {
  if (permutation.size() != view.dims.size()) {
    return Status(StatusCode::kCorrupt, "transpose " + extents_text(permutation) + " of " +
                                            std::to_string(view.dims.size()) + " dimensions");
  }
  LayoutView result{{}, view.channel_groups};
  std::vector<bool> used(view.dims.size(), false);
  for (const std::int64_t from : permutation) {
    if (from < 0 || from >= static_cast<std::int64_t>(used.size()) ||
        used[static_cast<std::size_t>(from)]) {
      return Status(StatusCode::kCorrupt,
                    "transpose " + extents_text(permutation) + " is not a permutation");
    }
    used[static_cast<std::size_t>(from)] = true;
    result.dims.push_back(view.dims[static_cast<std::size_t>(from)]);
  }
  return result;
}

std::optional<std::size_t> dim_of_axis(const LayoutView& view, const Hwc& shape, Axis axis) {
  const bool shown = axis == Axis::kBatch || axis_extent(shape, 1, axis) != 1;
  const ViewDim wanted = shown ? ViewDim{axis} : ViewDim{};
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < view.dims.size(); ++i) {
    if (view.dims[i] != wanted) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

Result<std::vector<std::uint32_t>> flatten_order(const LayoutView& view, const Hwc& shape,
                                                 std::size_t dim) {
  if (dim >= view.dims.size()) return Status(StatusCode::kInternal, "no such dimension");
  const std::int64_t total = element_total(shape);
  if (total == kTooMany || total > kMaxFlattened) {
    return Status(StatusCode::kUnsupported, "a fully connected layer over too many elements");
  }
  if (view.channel_groups != 1) {
    return Status(StatusCode::kUnsupported, "a fully connected layer over split channels");
  }
  if (view_extents(view, shape)[dim] != total) {
    return Status(StatusCode::kUnsupported,
                  "a fully connected layer over part of the image's axes");
  }
  const auto stride_of = [&](Axis axis) -> std::int64_t {
    switch (axis) {
      case Axis::kHeight:
        return std::int64_t{shape.width} * shape.channels;
      case Axis::kWidth:
        return shape.channels;
      default:
        return axis == Axis::kChannel ? 1 : 0;
    }
  };
  std::vector<std::uint32_t> order{0};
  order.reserve(static_cast<std::size_t>(total));
  for (const Axis axis : view.dims[dim]) {  // slowest first: each axis repeats what is there
    std::vector<std::uint32_t> longer;
    longer.reserve(static_cast<std::size_t>(total));
    for (const std::uint32_t base : order) {
      for (std::int64_t i = 0; i < axis_extent(shape, 1, axis); ++i) {
        longer.push_back(base + static_cast<std::uint32_t>(i * stride_of(axis)));
      }
    }
    order = std::move(longer);
  }
  return order;
}

}  // namespace cleave::importer
