// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/layout_view.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace cleave::importer {
namespace {

constexpr Axis kB = Axis::kBatch, kH = Axis::kHeight, kW = Axis::kWidth, kC = Axis::kChannel;
using Extents = std::vector<std::int64_t>;

LayoutView reshaped(const LayoutView& view, const Hwc& shape, const Extents& extents) {
  Result<LayoutView> result = reshape_view(view, shape, extents);
  REQUIRE_MESSAGE(result.is_ok(), result.status().message());
  return *result;
}

StatusCode reshape_code(const LayoutView& view, const Hwc& shape, const Extents& extents) {
  return reshape_view(view, shape, extents).status().code();
}

TEST_CASE("an image as NCHW and as NHWC differ by a transpose") {
  const Hwc shape{4, 5, 3};
  CHECK(view_extents(view_nchw(shape), shape) == Extents{1, 3, 4, 5});
  CHECK(view_extents(view_nhwc(shape), shape) == Extents{1, 4, 5, 3});
  const Result<LayoutView> turned = transpose_view(view_nhwc(shape), Extents{0, 3, 1, 2});
  REQUIRE(turned.is_ok());
  CHECK(*turned == view_nchw(shape));
}

TEST_CASE("views of a vector are equal whatever order its axes of extent 1 stand in") {
  const Hwc shape{1, 1, 7};
  const Result<LayoutView> turned = transpose_view(view_nchw(shape), Extents{0, 1, 3, 2});
  REQUIRE(turned.is_ok());
  CHECK(*turned == view_nchw(shape));
  CHECK(view_nchw(shape) == LayoutView{{{kB}, {kC}, {}, {}}});
}

TEST_CASE("flatten joins axes in the source's order") {
  const Hwc shape{2, 3, 4};
  const LayoutView flat = reshaped(view_nchw(shape), shape, {1, -1});
  CHECK(flat == LayoutView{{{kB}, {kC, kH, kW}}});
  CHECK(reshaped(view_nhwc(shape), shape, {-1, 24}) == LayoutView{{{kB}, {kH, kW, kC}}});
  CHECK(reshaped(view_nchw(shape), shape, {1, 4, 6}) == LayoutView{{{kB}, {kC}, {kH, kW}}});
}

TEST_CASE("reshape and its inverse give the first view back") {
  const Hwc shape{2, 3, 4};
  const LayoutView nchw = view_nchw(shape);
  const LayoutView flat = reshaped(nchw, shape, {1, 24});
  CHECK(reshaped(flat, shape, {1, 4, 2, 3}) == nchw);
  const LayoutView whole = reshaped(nchw, shape, {24});
  CHECK(whole == LayoutView{{{kB, kC, kH, kW}}});
  CHECK(reshaped(whole, shape, {1, 4, 2, 3}) == nchw);
}

TEST_CASE("the batch keeps a dimension of its own where the reshape has one") {
  const Hwc vector{1, 1, 9};
  CHECK(reshaped(LayoutView{{{kB}, {kC}}}, vector, {1, 9, 1, 1}) == view_nchw(vector));
  CHECK(reshaped(view_nchw(vector), vector, {9}) == LayoutView{{{kB, kC}}});
  CHECK(reshaped(LayoutView{{{kC}, {kB}}}, vector, {9, 1}) == LayoutView{{{kC}, {kB}}});
  CHECK(reshaped(view_nchw({1, 1, 1}), {1, 1, 1}, {1, 1}) == LayoutView{{{kB}, {}}});
}

TEST_CASE("a reshape that splits or crosses an axis is refused") {
  const Hwc shape{2, 3, 4};
  CHECK(reshape_code(view_nchw(shape), shape, {1, 2, 2, 2, 3}) == StatusCode::kUnsupported);
  CHECK(reshape_code(view_nchw(shape), shape, {1, 8, 3}) == StatusCode::kOk);
  CHECK(reshape_code(view_nchw(shape), shape, {1, 3, 8}) == StatusCode::kUnsupported);
  CHECK(reshape_code(view_nchw(shape), shape, {1, 6, 4}) == StatusCode::kUnsupported);
}

LayoutView split(const LayoutView& view, const Hwc& shape, const Extents& extents) {
  Result<LayoutView> result = reshape_view(view, shape, extents, SplitChannels::kAllow);
  REQUIRE_MESSAGE(result.is_ok(), result.status().message());
  return *result;
}

TEST_CASE("channels split in two, and joined again, are the channels") {
  const Hwc shape{2, 3, 12};
  const LayoutView halves = split(view_nchw(shape), shape, {1, 3, 4, 2, 3});
  CHECK(halves.channel_groups == 3);
  CHECK(view_extents(halves, shape) == Extents{1, 3, 4, 2, 3});
  CHECK_FALSE(shuffled_view(halves));
  CHECK(split(halves, shape, {1, 12, 2, 3}) == view_nchw(shape));
  CHECK(split(view_nhwc(shape), shape, {1, 6, 3, 4}).channel_groups == 3);
  CHECK(flatten_order(split(halves, shape, {72, 1}), shape, 0).is_ok());
  const Result<LayoutView> turned = transpose_view(halves, Extents{0, 3, 1, 4, 2});
  REQUIRE(turned.is_ok());
  CHECK(flatten_order(split(*turned, shape, {72, 1}), shape, 0).status().code() ==
        StatusCode::kUnsupported);
}

TEST_CASE("channels split, transposed and joined are shuffled") {
  const Hwc shape{2, 3, 6};
  const Result<LayoutView> turned =
      transpose_view(split(view_nchw(shape), shape, {1, 2, 3, 2, 3}), Extents{0, 2, 1, 3, 4});
  REQUIRE(turned.is_ok());
  const LayoutView joined = split(*turned, shape, {1, 6, 2, 3});
  CHECK(joined.channel_groups == 2);
  CHECK(shuffled_view(joined) == view_nchw(shape));
  const std::optional<LayoutView> flat = shuffled_view(split(*turned, shape, {1, -1}));
  CHECK(flat == LayoutView{{{kB}, {kC, kH, kW}}});
  CHECK(shuffle_order(6, 2) == std::vector<std::uint32_t>{0, 3, 1, 4, 2, 5});
  CHECK(shuffle_order(6, 3) == std::vector<std::uint32_t>{0, 2, 4, 1, 3, 5});
}

TEST_CASE("channels are split once, in two, and nothing else is") {
  const Hwc shape{2, 3, 12};
  const auto code = [&](const LayoutView& view, const Extents& extents) {
    return reshape_view(view, shape, extents, SplitChannels::kAllow).status().code();
  };
  const LayoutView nchw = view_nchw(shape);
  CHECK(code(nchw, {1, 3, 4, 2, 3}) == StatusCode::kOk);
  CHECK(code(nchw, {1, 5, 4, 2, 3}) == StatusCode::kCorrupt);
  CHECK(code(nchw, {1, 2, 2, 3, 2, 3}) == StatusCode::kUnsupported);
  CHECK(code(nchw, {1, 8, 9}) == StatusCode::kUnsupported);
  CHECK(code(nchw, {1, 12, 3, 2}) == StatusCode::kUnsupported);  // height and width
  CHECK(code(split(nchw, shape, {1, 3, 4, 2, 3}), {1, 3, 2, 2, 2, 3}) == StatusCode::kUnsupported);
}

TEST_CASE("reshape extents from a hostile file are errors") {
  const Hwc shape{2, 3, 4};
  const LayoutView view = view_nchw(shape);
  CHECK(reshape_code(view, shape, {-1, -1}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {0, 24}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {-2, 24}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {1, 25}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {-1, 7}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {}) == StatusCode::kCorrupt);
  CHECK(reshape_code(view, shape, {INT64_MAX, INT64_MAX, 2}) == StatusCode::kUnsupported);
  const Hwc huge{UINT32_MAX, UINT32_MAX, UINT32_MAX};
  CHECK(reshape_code(view_nchw(huge), huge, {1, -1}) == StatusCode::kUnsupported);
  CHECK(flatten_order(LayoutView{{{kC, kH, kW}}}, huge, 0).status().code() ==
        StatusCode::kUnsupported);
}

TEST_CASE("a transpose that is no permutation is an error") {
  const LayoutView view = view_nchw({2, 3, 4});
  for (const Extents& bad :
       {Extents{0, 1, 2}, Extents{0, 1, 1, 2}, Extents{0, 1, 2, 4}, Extents{0, 1, 2, -1}}) {
    CHECK(transpose_view(view, bad).status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("the dimension of an axis is found only when it stands alone") {
  const Hwc shape{2, 3, 4};
  CHECK(dim_of_axis(view_nchw(shape), shape, kC) == 1);
  CHECK(dim_of_axis(view_nhwc(shape), shape, kC) == 3);
  CHECK(dim_of_axis(view_nhwc(shape), shape, kB) == 0);
  CHECK_FALSE(dim_of_axis(LayoutView{{{kB}, {kC, kH, kW}}}, shape, kC));
  CHECK(dim_of_axis(view_nchw({2, 3, 1}), {2, 3, 1}, kC) == 1);
  CHECK_FALSE(dim_of_axis(view_nchw({1, 1, 4}), {1, 1, 4}, kH));  // two dimensions of extent 1
}

TEST_CASE("flatten order maps channel-first elements to the physical layout") {
  const Hwc shape{1, 2, 3};  // physical element of (w, c): w * 3 + c
  const Result<std::vector<std::uint32_t>> order =
      flatten_order(LayoutView{{{kB}, {kC, kW}}}, shape, 1);
  REQUIRE(order.is_ok());
  CHECK(*order == std::vector<std::uint32_t>{0, 3, 1, 4, 2, 5});
  const Result<std::vector<std::uint32_t>> same =
      flatten_order(LayoutView{{{kB}, {kW, kC}}}, shape, 1);
  REQUIRE(same.is_ok());
  CHECK(*same == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
  CHECK(flatten_order(view_nchw(shape), shape, 1).status().code() == StatusCode::kUnsupported);
}

}  // namespace
}  // namespace cleave::importer
