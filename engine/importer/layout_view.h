// SPDX-License-Identifier: Apache-2.0
//
// How a source format sees one of our tensors. Every tensor is physically height x width x
// channels; a source may show it as N,C,H,W, as N,(C*H*W), as N,H*W,C ... A view is the source's
// list of dimensions, each an ordered product of physical axes. Reshape, Flatten, Squeeze,
// Unsqueeze and Transpose then only rewrite the view, and cost nothing at run time, as long as each
// dimension stays such a product; anything else is refused. One thing more is understood, because
// shuffled channels are written so: the channel axis split in two, groups times members.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::importer {

enum class Axis : std::uint8_t {
  kBatch,
  kHeight,
  kWidth,
  kChannel,
  // Instead of kChannel in a view of split channels; channel = group * members + member.
  kChannelGroup,
  kChannelMember,
};

// One dimension of the source's shape: the axes it runs over, slowest first. Axes of extent 1 are
// left out, so that {} is a dimension of extent 1 and views of equal meaning compare equal.
using ViewDim = std::vector<Axis>;

struct LayoutView {
  std::vector<ViewDim> dims;
  std::uint32_t channel_groups = 1;  // extent of kChannelGroup; 1: the channels are not split
  friend bool operator==(const LayoutView&, const LayoutView&) = default;
};

// The usual starting points. `shape` decides which axes have extent 1.
LayoutView view_nchw(const Hwc& shape);
LayoutView view_nhwc(const Hwc& shape);

// Extents of the view's dimensions; the batch counts as 1.
std::vector<std::int64_t> view_extents(const LayoutView& view, const Hwc& shape);

// The view after the source's Reshape to `extents` (one may be -1), or kUnsupported when a
// dimension would not be a product of whole axes. The channels are split in two, once, if that is
// what the extents ask for and `split` allows it; and are whole again when a later reshape joins
// group and member in their order.
enum class SplitChannels : std::uint8_t { kRefuse, kAllow };
Result<LayoutView> reshape_view(const LayoutView& view, const Hwc& shape,
                                std::span<const std::int64_t> extents,
                                SplitChannels split = SplitChannels::kRefuse);
// The view after the source's Transpose.
Result<LayoutView> transpose_view(const LayoutView& view,
                                  std::span<const std::int64_t> permutation);

// For a view with a dimension in which group follows member, which is how a channel shuffle ends:
// the view of the shuffled tensor, whose channels are whole. nullopt: no such dimension.
std::optional<LayoutView> shuffled_view(const LayoutView& view);
// The channels of a shuffle in order: channel c of the result is channel shuffle[c] of the source.
std::vector<std::uint32_t> shuffle_order(std::uint32_t channels, std::uint32_t groups);

// Index of the dimension that is exactly {axis} (or {} for an axis of extent 1 that no dimension
// shows, when unambiguous), e.g. to check that a Concat or Softmax runs over channels.
std::optional<std::size_t> dim_of_axis(const LayoutView& view, const Hwc& shape, Axis axis);

// For a fully connected layer over dimension `dim` of the view: element i of the source's order is
// element order[i] of the physical height, width, channel order. All axes of the tensor must be in
// that dimension (others have extent 1) and the channels whole, else kUnsupported.
Result<std::vector<std::uint32_t>> flatten_order(const LayoutView& view, const Hwc& shape,
                                                 std::size_t dim);

}  // namespace cleave::importer
