// SPDX-License-Identifier: Apache-2.0
//
// Every operator against plain loops in double precision, on shapes that do not divide by any
// kernel's tile.
#include <doctest/doctest.h>

#include <functional>
#include <random>

#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Build = std::function<void(ModelBuilder&)>;

struct OpCase {
  const char* name;
  fbs::Shape input;
  Build build;
};

// The error of the model's output for a batch of three pictures.
double error_of(const fbs::Shape& shape, const Build& build, unsigned threads) {
  ModelBuilder builder(shape, 7);
  build(builder);
  const auto model = open_model(builder);
  const fbs::Variant& variant = first_variant(*model);
  constexpr std::uint32_t kBatch = 3;
  const std::size_t elements = element_count(shape);
  const Values batch = random_values(elements * kBatch, 11);
  const auto executor = make_executor(model, threads);
  const TensorMap outputs =
      run_range(*executor, {0, op_count(*model)}, kBatch, {{variant.input(), batch}});
  Values expected;
  for (std::uint32_t picture = 0; picture < kBatch; ++picture) {
    const auto first = batch.begin() + static_cast<std::ptrdiff_t>(picture * elements);
    const Values one(first, first + static_cast<std::ptrdiff_t>(elements));
    const Values scores = reference_run(*model, variant, one).at(variant.output());
    expected.insert(expected.end(), scores.begin(), scores.end());
  }
  return largest_error(outputs.at(variant.output()), expected);
}

fbs::Window window(std::uint32_t h, std::uint32_t w, std::uint32_t sh = 1, std::uint32_t sw = 1,
                   std::uint32_t dh = 1, std::uint32_t dw = 1) {
  return {h, w, sh, sw, dh, dw};
}

void check_cases(const std::vector<OpCase>& cases, double tolerance = kOpTolerance) {
  for (const OpCase& op : cases) {
    CAPTURE(op.name);
    CHECK(error_of(op.input, op.build, 2) < tolerance);
  }
}

}  // namespace

// Enough channels for Winograd (ops/winograd_conv2d.h), and pictures that do not divide by its
// tiles.
TEST_CASE("Conv2D 3x3 and 5x5: every rest of height and width, channels that fill no block") {
  std::vector<OpCase> cases;
  const auto add = [&](const char* name, fbs::Shape input, std::uint32_t outputs,
                       WindowSpec window) {
    cases.push_back({name, input, [=](auto& b) { b.conv2d(b.input(), outputs, window); }});
  };
  constexpr WindowSpec kPadded3{.window = 3, .pad = 1};
  for (const std::uint32_t height : {1, 2, 3, 4, 5, 6, 7, 9, 12}) {
    for (const std::uint32_t width : {3, 4, 10})
      add("3x3, padded", {height, width, 16}, 33, kPadded3);
  }
  add("3x3, not padded, 17 channels to 16", {8, 9, 17}, 16, {.window = 3});
  add("3x3, more tiles than a block", {70, 66, 16}, 16, kPadded3);
  cases.push_back({"3x3, padded on two sides", {7, 8, 20}, [](auto& b) {
                     b.conv2d(b.input(), 40, {window(3, 3), {1, 0, 0, 1}});
                   }});
  // Few tiles and many kernels, which makes the tiles smaller (ops/winograd_weights.h).
  for (const fbs::Shape& input : {fbs::Shape(1, 1, 183), fbs::Shape(2, 3, 183),
                                  fbs::Shape(7, 4, 183), fbs::Shape(14, 13, 183)}) {
    add("3x3 to many channels", input, 180, kPadded3);
  }
  cases.push_back({"3x3 to many channels, padded on two sides", {5, 6, 183}, [](auto& b) {
                     b.conv2d(b.input(), 180, {window(3, 3), {1, 0, 0, 1}});
                   }});
  for (const std::uint32_t height : {1, 2, 3, 6, 7}) {
    for (const std::uint32_t width : {1, 4, 9}) {
      add("5x5, padded", {height, width, 16}, 33, {.window = 5, .pad = 2});
    }
  }
  add("5x5, not padded, 17 channels to 16", {8, 9, 17}, 16, {.window = 5});
  cases.push_back({"5x5, padded by 2, 1 and 0", {7, 8, 20}, [](auto& b) {
                     b.conv2d(b.input(), 40, {window(5, 5), {2, 0, 1, 1}});
                   }});
  // Winograd's transforms cost about a decimal place (tests/engine/kernels/winograd_test.cc).
  check_cases(cases, 10 * kOpTolerance);
}

TEST_CASE("Conv2D 3x3: threads with blocks of tiles of their own give the bits of one thread") {
  ModelBuilder builder({70, 66, 16}, 7);
  builder.conv2d(builder.input(), 33, WindowSpec{.window = 3, .pad = 1});
  const auto model = open_model(builder);
  const fbs::Variant& variant = first_variant(*model);
  const TensorMap input{{variant.input(), random_values(70 * 66 * 16 * 2, 11)}};
  const auto run = [&](unsigned threads) {
    return run_range(*make_executor(model, threads), {0, 1}, 2, input).at(variant.output());
  };
  const Values expected = run(1);
  for (const unsigned threads : {2U, 3U, 8U, 9U}) CHECK(run(threads) == expected);
}

TEST_CASE("Conv2D: strides, dilations, groups, uneven padding, clamps") {
  check_cases({
      {"pointwise", {7, 5, 13}, [](auto& b) { b.conv2d(b.input(), 19, WindowSpec{}); }},
      {"pointwise on one pixel",
       {1, 1, 33},
       [](auto& b) { b.conv2d(b.input(), 65, WindowSpec{}); }},
      {"pointwise, strided",
       {7, 6, 5},
       [](auto& b) { b.conv2d(b.input(), 3, WindowSpec{.stride = 2}); }},
      {"3x3",
       {9, 11, 3},
       [](auto& b) { b.conv2d(b.input(), 16, WindowSpec{.window = 3, .pad = 1}); }},
      {"3x3, stride 2, padded below and right only",
       {8, 8, 3},
       [](auto& b) {
         b.conv2d(b.input(), 8, {window(3, 3, 2, 2), {0, 1, 1, 0}});
       }},
      {"5x2, strides 1 and 3, all paddings differ",
       {10, 13, 4},
       [](auto& b) {
         b.conv2d(b.input(), 6, {window(5, 2, 1, 3), {1, 0, 2, 1}});
       }},
      {"dilated 2 and 3",
       {11, 12, 2},
       [](auto& b) {
         b.conv2d(b.input(), 5, {window(3, 3, 1, 1, 2, 3), {2, 3, 1, 0}});
       }},
      {"three groups",
       {6, 7, 9},
       [](auto& b) { b.conv2d(b.input(), 12, WindowSpec{.window = 3, .pad = 1}, 3); }},
      {"grouped pointwise", {5, 5, 8}, [](auto& b) { b.conv2d(b.input(), 6, WindowSpec{}, 2); }},
      {"a group per channel",
       {6, 6, 5},
       [](auto& b) { b.conv2d(b.input(), 5, WindowSpec{.window = 3, .pad = 1}, 5); }},
      {"one channel to one",
       {6, 6, 1},
       [](auto& b) { b.conv2d(b.input(), 1, WindowSpec{.window = 3}); }},
      {"11x11 stride 4",
       {31, 31, 3},
       [](auto& b) { b.conv2d(b.input(), 7, WindowSpec{.window = 11, .stride = 4, .pad = 2}); }},
      {"window as large as the picture",
       {4, 3, 7},
       [](auto& b) {
         b.conv2d(b.input(), 10, {window(4, 3), {0, 0, 0, 0}});
       }},
      {"padding wider than the window",
       {3, 3, 2},
       [](auto& b) { b.conv2d(b.input(), 3, WindowSpec{.window = 2, .pad = 3}); }},
      {"without bias",
       {5, 5, 3},
       [](auto& b) {
         b.conv2d(b.input(), 4, WindowSpec{.window = 3});
         b.drop_last_bias();
       }},
      {"ReLU",
       {7, 7, 3},
       [](auto& b) {
         b.conv2d(b.input(), 9, WindowSpec{.window = 3});
         b.clamp_last(0);
       }},
      {"ReLU6",
       {7, 7, 3},
       [](auto& b) {
         b.conv2d(b.input(), 9, WindowSpec{.window = 3});
         b.clamp_last(0, 6);
       }},
      {"clamp to two sides",
       {7, 7, 3},
       [](auto& b) {
         b.conv2d(b.input(), 9, WindowSpec{});
         b.clamp_last(-0.5F, 0.25F);
       }},
      {"clamp to one value",
       {3, 3, 3},
       [](auto& b) {
         b.conv2d(b.input(), 2, WindowSpec{});
         b.clamp_last(1, 1);
       }},
  });
}

TEST_CASE("DepthwiseConv2D: strides, dilations, multiplier, large windows") {
  check_cases({
      {"3x3",
       {9, 9, 21},
       [](auto& b) { b.depthwise_conv2d(b.input(), WindowSpec{.window = 3, .pad = 1}); }},
      {"3x3 stride 2, uneven",
       {8, 9, 5},
       [](auto& b) {
         b.depthwise_conv2d(b.input(), {window(3, 3, 2, 2), {0, 1, 1, 0}});
       }},
      {"5x5 ReLU6",
       {9, 9, 17},
       [](auto& b) {
         b.depthwise_conv2d(b.input(), WindowSpec{.window = 5, .stride = 2, .pad = 2});
         b.clamp_last(0, 6);
       }},
      {"7x7: several passes",
       {9, 10, 6},
       [](auto& b) { b.depthwise_conv2d(b.input(), WindowSpec{.window = 7, .pad = 3}); }},
      {"1x1", {4, 5, 35}, [](auto& b) { b.depthwise_conv2d(b.input(), WindowSpec{}); }},
      {"1x1, strided",
       {4, 5, 3},
       [](auto& b) { b.depthwise_conv2d(b.input(), WindowSpec{.stride = 3}); }},
      {"1x4, dilated",
       {5, 14, 9},
       [](auto& b) {
         b.depthwise_conv2d(b.input(), {window(1, 4, 1, 1, 1, 3), {0, 2, 0, 4}});
       }},
      {"multiplier 2",
       {6, 6, 7},
       [](auto& b) { b.depthwise_conv2d(b.input(), WindowSpec{.window = 3, .pad = 1}, 2); }},
      {"multiplier 3, without bias",
       {5, 5, 2},
       [](auto& b) {
         b.depthwise_conv2d(b.input(), WindowSpec{.window = 3}, 3);
         b.drop_last_bias();
       }},
  });
}

TEST_CASE("FullyConnected: from a picture, from a vector, clamped, without bias") {
  check_cases({
      {"vector", {1, 1, 37}, [](auto& b) { b.fully_connected(b.input(), 11); }},
      {"picture, flattened by height, width, channel",
       {3, 5, 7},
       [](auto& b) { b.fully_connected(b.input(), 45); }},
      {"one output", {1, 1, 5}, [](auto& b) { b.fully_connected(b.input(), 1); }},
      {"ReLU",
       {2, 2, 9},
       [](auto& b) {
         b.fully_connected(b.input(), 33);
         b.clamp_last(0);
       }},
      {"without bias",
       {1, 1, 130},
       [](auto& b) {
         b.fully_connected(b.input(), 17);
         b.drop_last_bias();
       }},
  });
}

TEST_CASE("MaxPool2D: also what XNNPACK does not take") {
  check_cases({
      {"2x2 stride 2",
       {8, 7, 5},
       [](auto& b) { b.max_pool2d(b.input(), WindowSpec{.window = 2, .stride = 2}); }},
      {"3x3 stride 2, padded",
       {9, 9, 19},
       [](auto& b) { b.max_pool2d(b.input(), WindowSpec{.window = 3, .stride = 2, .pad = 1}); }},
      {"5x1",
       {9, 4, 3},
       [](auto& b) {
         b.max_pool2d(b.input(), {window(5, 1), {0, 0, 4, 0}});
       }},
      {"clamped",
       {6, 6, 4},
       [](auto& b) {
         b.max_pool2d(b.input(), WindowSpec{.window = 3, .pad = 1});
         b.clamp_last(-1, 0.5F);
       }},
      {"1x1", {5, 5, 6}, [](auto& b) { b.max_pool2d(b.input(), WindowSpec{}); }},
      {"1x1 stride 2: a subsample",
       {5, 6, 6},
       [](auto& b) { b.max_pool2d(b.input(), WindowSpec{.stride = 2}); }},
      {"stride wider than the window",
       {9, 9, 3},
       [](auto& b) {
         b.max_pool2d(b.input(), WindowSpec{.window = 2, .stride = 3});
         b.clamp_last(0);
       }},
      {"dilated",
       {9, 9, 3},
       [](auto& b) { b.max_pool2d(b.input(), WindowSpec{.window = 2, .dilation = 3}); }},
      {"dilated and padded: a window begins in the trailing padding",
       {5, 5, 3},
       [](auto& b) {
         b.max_pool2d(b.input(), {window(2, 2, 1, 1, 3, 3), {3, 1, 1, 3}});
       }},
  });
}

TEST_CASE("AveragePool2D divides by the elements that are not padding") {
  check_cases({
      {"2x2 stride 2",
       {8, 7, 5},
       [](auto& b) { b.average_pool2d(b.input(), WindowSpec{.window = 2, .stride = 2}); }},
      {"3x3 padded",
       {7, 7, 9},
       [](auto& b) { b.average_pool2d(b.input(), WindowSpec{.window = 3, .pad = 1}); }},
      {"3x3 stride 2, padded below and right",
       {8, 8, 3},
       [](auto& b) {
         b.average_pool2d(b.input(), {window(3, 3, 2, 2), {0, 1, 1, 0}});
       }},
      {"6x6: several passes, padded",
       {9, 8, 7},
       [](auto& b) {
         b.average_pool2d(b.input(), WindowSpec{.window = 6, .stride = 3, .pad = 2});
       }},
      {"7x7 whole picture",
       {7, 7, 33},
       [](auto& b) { b.average_pool2d(b.input(), WindowSpec{.window = 7}); }},
      {"1x1 stride 2",
       {5, 5, 4},
       [](auto& b) { b.average_pool2d(b.input(), WindowSpec{.stride = 2}); }},
      {"clamped",
       {6, 6, 4},
       [](auto& b) {
         b.average_pool2d(b.input(), WindowSpec{.window = 3});
         b.clamp_last(-0.1F, 0.2F);
       }},
      {"two output rows, both at a border",
       {3, 3, 2},
       [](auto& b) {
         b.average_pool2d(b.input(), WindowSpec{.window = 4, .stride = 2, .pad = 2});
       }},
      {"an output row that touches the padding above and below",
       {3, 2, 2},
       [](auto& b) {
         b.average_pool2d(b.input(), {window(3, 1, 3, 3), {1, 1, 4, 0}});
         b.clamp_last(-0.5F, 0.5F);
       }},
      {"padding that no window reaches",
       {5, 5, 2},
       [](auto& b) {
         b.average_pool2d(b.input(), {window(3, 3, 3, 3), {1, 2, 2, 1}});
       }},
  });
}

TEST_CASE("GlobalAveragePool, with and without a clamp") {
  check_cases({
      {"7x7", {7, 7, 37}, [](auto& b) { b.global_average_pool(b.input()); }},
      {"one channel", {5, 3, 1}, [](auto& b) { b.global_average_pool(b.input()); }},
      {"one pixel", {1, 1, 9}, [](auto& b) { b.global_average_pool(b.input()); }},
      {"a row", {1, 6, 5}, [](auto& b) { b.global_average_pool(b.input()); }},
      {"clamped",
       {4, 5, 8},
       [](auto& b) {
         b.global_average_pool(b.input());
         b.clamp_last(0, 0.05F);
       }},
  });
}

TEST_CASE("element by element: clamp, leaky ReLU, hard swish, sigmoid") {
  const fbs::Shape shape{5, 7, 13};
  check_cases({
      {"ReLU", shape, [](auto& b) { b.clamp(b.input(), 0); }},
      {"upper bound only", shape, [](auto& b) { b.clamp(b.input(), -kInfinity, 0.5F); }},
      {"leaky ReLU", shape, [](auto& b) { b.leaky_relu(b.input(), 0.1F); }},
      {"leaky ReLU, negative slope", shape, [](auto& b) { b.leaky_relu(b.input(), -0.3F); }},
      {"leaky ReLU, clamped", shape,
       [](auto& b) {
         b.leaky_relu(b.input(), 0.2F);
         b.clamp_last(-0.1F, 1);
       }},
      {"hard swish", shape, [](auto& b) { b.hard_swish(b.input()); }},
      {"sigmoid", shape, [](auto& b) { b.sigmoid(b.input()); }},
      {"sigmoid, clamped", shape,
       [](auto& b) {
         b.sigmoid(b.input());
         b.clamp_last(0.3F, 0.6F);
       }},
  });
}

TEST_CASE("Add and Multiply, also of a tensor with a vector of channels") {
  const fbs::Shape shape{4, 5, 11};
  check_cases({
      {"add", shape, [](auto& b) { b.add(b.input(), b.leaky_relu(b.input(), 0.5F)); }},
      {"add, ReLU", shape,
       [](auto& b) {
         b.add(b.input(), b.sigmoid(b.input()));
         b.clamp_last(0);
       }},
      {"add to itself", shape, [](auto& b) { b.add(b.input(), b.input()); }},
      {"add a vector", shape, [](auto& b) { b.add(b.input(), b.global_average_pool(b.input())); }},
      {"multiply", shape, [](auto& b) { b.multiply(b.input(), b.sigmoid(b.input())); }},
      {"multiply by a vector, clamped", shape,
       [](auto& b) {
         b.multiply(b.input(), b.global_average_pool(b.input()));
         b.clamp_last(-0.2F, 0.2F);
       }},
      {"multiply by a vector of one channel",
       {4, 5, 1},
       [](auto& b) { b.multiply(b.input(), b.global_average_pool(b.input())); }},
      {"multiply two vectors",
       {1, 1, 9},
       [](auto& b) { b.multiply(b.input(), b.sigmoid(b.input())); }},
  });
}

TEST_CASE("Concat, Pad, Lrn, Softmax") {
  const fbs::Shape shape{4, 5, 7};
  check_cases({
      {"concat of two", shape,
       [](auto& b) {
         b.concat({b.sigmoid(b.input()), b.input()});
       }},
      {"concat of four widths", shape,
       [](auto& b) {
         const auto one = b.conv2d(b.input(), 1, WindowSpec{});
         const auto three = b.conv2d(b.input(), 3, WindowSpec{});
         b.concat({one, b.input(), three, b.input()});
       }},
      {"concat, clamped", shape,
       [](auto& b) {
         b.concat({b.sigmoid(b.input()), b.input()});
         b.clamp_last(0, 0.5F);
       }},
      {"concat of vectors",
       {1, 1, 3},
       [](auto& b) {
         b.concat({b.input(), b.sigmoid(b.input())});
       }},
      {"pad", shape,
       [](auto& b) {
         b.pad(b.input(), {1, 2, 3, 4});
       }},
      {"pad with a value", shape,
       [](auto& b) {
         b.pad(b.input(), {2, 0, 0, 1}, -1.5F);
       }},
      {"pad of nothing", shape,
       [](auto& b) {
         b.pad(b.input(), {0, 0, 0, 0});
       }},
      {"pad one channel",
       {3, 3, 1},
       [](auto& b) {
         b.pad(b.input(), {0, 1, 0, 0}, 7);
       }},
      {"LRN of AlexNet", {3, 3, 20}, [](auto& b) { b.lrn(b.input(), 5, 1e-1F, 0.75F, 1); }},
      {"LRN, even window wider than the channels", shape,
       [](auto& b) { b.lrn(b.input(), 10, 0.5F, 0.6F, 2); }},
      {"LRN of one channel", {2, 3, 1}, [](auto& b) { b.lrn(b.input(), 3, 1, 1, 0.5F); }},
      {"softmax", {1, 1, 101}, [](auto& b) { b.softmax(b.input()); }},
      {"softmax at every pixel", shape, [](auto& b) { b.softmax(b.input()); }},
      {"softmax of one", {1, 1, 1}, [](auto& b) { b.softmax(b.input()); }},
  });
}

TEST_CASE("windows of random shape agree with the loops") {
  std::mt19937 random(20240607);
  const auto pick = [&](std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(random() % (high - low + 1));
  };
  int compared = 0;
  for (int round = 0; round < 400; ++round) {
    const fbs::Shape input{pick(1, 12), pick(1, 12), pick(1, 18)};
    const bool dilated = round % 3 == 0;
    const WindowPadding spec({pick(1, 5), pick(1, 5), pick(1, 3), pick(1, 3),
                              dilated ? pick(1, 3) : 1, dilated ? pick(1, 3) : 1},
                             {pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3)});
    const std::uint32_t kind = pick(0, 3);
    const std::uint32_t outputs = pick(1, 20);
    const Build build = [&](ModelBuilder& b) {
      if (kind == 0) b.conv2d(b.input(), outputs, spec);
      if (kind == 1) b.depthwise_conv2d(b.input(), spec, outputs % 3 + 1);
      if (kind == 2) b.max_pool2d(b.input(), spec);
      if (kind == 3) b.average_pool2d(b.input(), spec);
    };
    try {
      ModelBuilder probe(input);
      build(probe);
    } catch (const std::logic_error&) {
      continue;  // a window that does not fit, or lies wholly in the padding
    }
    CAPTURE(round);
    CAPTURE(kind);
    CHECK(error_of(input, build, 1) < kOpTolerance);
    ++compared;
  }
  CHECK(compared > 150);
}

}  // namespace cleave::test
