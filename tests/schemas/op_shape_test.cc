// SPDX-License-Identifier: Apache-2.0
//
// Expected shapes: the published architectures, and the outputs that PyTorch 2 documents for the
// same windows.
#include "schemas/op_shape.h"

#include <doctest/doctest.h>

#include "tests/support/model_builder.h"

namespace cleave {
namespace {

using test::ModelBuilder;
using test::WindowPadding;
using test::WindowSpec;

std::string text(const ModelBuilder& builder, test::Tensor tensor) {
  return shape_text(builder.shape(tensor));
}

TEST_CASE("AlexNet's windows (torchvision): 224, 55, 27, 13, 6") {
  ModelBuilder net({224, 224, 3});
  auto x = net.conv2d(net.input(), 64, WindowSpec{.window = 11, .stride = 4, .pad = 2});
  CHECK(text(net, x) == "55x55x64");
  x = net.max_pool2d(x, WindowSpec{.window = 3, .stride = 2});
  CHECK(text(net, x) == "27x27x64");
  x = net.conv2d(x, 192, WindowSpec{.window = 5, .pad = 2});
  CHECK(text(net, x) == "27x27x192");
  x = net.max_pool2d(x, WindowSpec{.window = 3, .stride = 2});
  CHECK(text(net, x) == "13x13x192");
  x = net.max_pool2d(x, WindowSpec{.window = 3, .stride = 2});
  CHECK(text(net, x) == "6x6x192");
  x = net.fully_connected(x, 10);
  CHECK(text(net, x) == "1x1x10");
}

TEST_CASE("SqueezeNet's ceil mode is one more row and column of trailing padding") {
  ModelBuilder net({112, 112, 8});
  const WindowPadding floor_mode = WindowSpec{.window = 3, .stride = 2};
  WindowPadding ceil_mode = floor_mode;
  ceil_mode.padding = {0, 1, 1, 0};
  CHECK(text(net, net.max_pool2d(net.input(), floor_mode)) == "55x55x8");
  CHECK(text(net, net.max_pool2d(net.input(), ceil_mode)) == "56x56x8");
}

TEST_CASE("dilation widens the window, and both directions are their own") {
  ModelBuilder net({20, 30, 2});
  const WindowPadding window({3, 1, 2, 1, 4, 1}, {1, 0, 2, 0});
  // height: (20 + 3 - 9) / 2 + 1 = 8
  CHECK(text(net, net.conv2d(net.input(), 5, window)) == "8x30x5");
}

TEST_CASE("channels: groups, multiplier, concat, broadcast, pad") {
  ModelBuilder net({4, 4, 6});
  CHECK(text(net, net.conv2d(net.input(), 9, WindowSpec{}, 3)) == "4x4x9");
  const auto twice = net.depthwise_conv2d(net.input(), WindowSpec{.window = 3, .pad = 1}, 2);
  CHECK(text(net, twice) == "4x4x12");
  CHECK(text(net, net.concat({net.input(), twice, net.input()})) == "4x4x24");
  CHECK(text(net, net.pad(net.input(), {1, 2, 3, 4})) == "8x10x6");
  const auto pooled = net.global_average_pool(net.input());
  CHECK(text(net, pooled) == "1x1x6");
  CHECK(text(net, net.multiply(net.input(), pooled)) == "4x4x6");
  CHECK_THROWS(net.multiply(pooled, net.input()));
  CHECK_THROWS(net.add(net.input(), twice));
  CHECK_THROWS(net.concat({net.input(), pooled}));
  CHECK_THROWS(net.concat({net.input()}));
}

TEST_CASE("window arithmetic refuses what has no meaning") {
  CHECK(*window_output_extent({.input = 5, .window = 5}) == 1);
  CHECK(*window_output_extent({.input = 5, .window = 3, .stride = 7}) == 1);
  CHECK(*window_output_extent({.input = 65536, .window = 4096, .stride = 1, .dilation = 16}) == 16);
  for (const WindowAxis& axis :
       {WindowAxis{.input = 5, .window = 6}, WindowAxis{.input = 5, .window = 0},
        WindowAxis{.input = 5, .stride = 0}, WindowAxis{.input = 5, .dilation = 0},
        WindowAxis{.input = 5, .window = 4097}, WindowAxis{.input = 5, .stride = 4097},
        WindowAxis{.input = 5, .before = 4097}, WindowAxis{.input = 5, .after = 0xffffffff},
        WindowAxis{.input = 5, .window = 4096, .dilation = 4096}}) {
    CHECK(window_output_extent(axis).status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("no pooling window lies wholly in the padding") {
  ModelBuilder net({4, 4, 1});
  const auto pool = [&](std::uint32_t window, std::uint32_t stride, std::uint32_t dilation,
                        std::uint32_t before, std::uint32_t after) {
    return net.max_pool2d(net.input(),
                          {{window, 1, stride, 1, dilation, 1}, {before, 0, after, 0}});
  };
  CHECK_NOTHROW(pool(3, 1, 1, 2, 2));
  CHECK_THROWS(pool(3, 1, 1, 3, 0));  // the first window covers three rows of padding
  CHECK_THROWS(pool(3, 1, 1, 0, 3));  // the last one likewise
  CHECK_THROWS(pool(1, 1, 1, 1, 0));
  CHECK_NOTHROW(pool(2, 1, 4, 1, 0));  // taps at -1 and 3
  CHECK_THROWS(pool(2, 1, 5, 1, 1));   // taps at -1 and 4: both outside
  CHECK_THROWS(net.average_pool2d(net.input(), WindowSpec{.window = 2, .dilation = 2}));
}

TEST_CASE("shapes have caps") {
  CHECK(check_shape({65536, 32768, 1}).is_ok());
  CHECK(check_shape({65536, 32768, 2}).code() == StatusCode::kCorrupt);
  CHECK(check_shape({65537, 1, 1}).code() == StatusCode::kCorrupt);
  CHECK(check_shape({0, 1, 1}).code() == StatusCode::kCorrupt);
  CHECK(check_shape({0xffffffff, 0xffffffff, 0xffffffff}).code() == StatusCode::kCorrupt);
  ModelBuilder net({1, 1, 40000});
  CHECK_THROWS(net.concat({net.input(), net.input()}));
  CHECK_THROWS(net.depthwise_conv2d(net.input(), WindowSpec{}, 2));
}

}  // namespace
}  // namespace cleave
