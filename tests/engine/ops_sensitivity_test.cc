// SPDX-License-Identifier: Apache-2.0
//
// Shows that the comparison with the loops has teeth: when one parameter of one op is changed, in a
// way that leaves all shapes as they are, the engine's result no longer agrees with the reference.
#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

struct Mutation {
  const char* name;
  fbs::Shape input;
  std::function<void(ModelBuilder&)> build;
  std::function<void(ModelBuilder&)> change;
};

Values reference_scores(const ModelFile& model, const Values& input) {
  const fbs::Variant& variant = first_variant(model);
  return reference_run(model, variant, input).at(variant.output());
}

Values engine_scores(const std::shared_ptr<const ModelFile>& model, const Values& input) {
  const fbs::Variant& variant = first_variant(*model);
  const auto executor = make_executor(model);
  return run_range(*executor, {0, op_count(*model)}, 1, {{variant.input(), input}})
      .at(variant.output());
}

template <typename OptionsT>
OptionsT& options(ModelBuilder& builder, std::size_t op) {
  return *static_cast<OptionsT*>(builder.op(op).options.value);
}

// Shared by the kinds that slide a window; 8x8 in, 4x4 out with stride 2.
const WindowPadding kStrided{{3, 3, 2, 2, 1, 1}, {1, 1, 1, 1}};

template <typename OptionsT>
void shift_padding(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).padding = fbs::Padding(0, 1, 2, 1);
}
template <typename OptionsT>
void shift_padding_sideways(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).padding = fbs::Padding(1, 2, 1, 0);
}
// Rows 3 apart need four more rows below to stay four.
template <typename OptionsT>
void widen_row_stride(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).window = fbs::Window(3, 3, 3, 2, 1, 1);
  *options<OptionsT>(builder, 0).padding = fbs::Padding(1, 1, 4, 1);
}
template <typename OptionsT>
void widen_column_stride(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).window = fbs::Window(3, 3, 2, 3, 1, 1);
  *options<OptionsT>(builder, 0).padding = fbs::Padding(1, 4, 1, 1);
}
// A window that reaches two further needs two more rows.
template <typename OptionsT>
void dilate_rows(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).window = fbs::Window(3, 3, 2, 2, 2, 1);
  *options<OptionsT>(builder, 0).padding = fbs::Padding(2, 1, 2, 1);
}
template <typename OptionsT>
void dilate_columns(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).window = fbs::Window(3, 3, 2, 2, 1, 2);
  *options<OptionsT>(builder, 0).padding = fbs::Padding(1, 2, 1, 2);
}
template <typename OptionsT>
void grow_window(ModelBuilder& builder) {
  *options<OptionsT>(builder, 0).window = fbs::Window(4, 3, 2, 2, 1, 1);
  *options<OptionsT>(builder, 0).padding = fbs::Padding(1, 1, 2, 1);
}

void swap_weights(ModelBuilder& builder) {
  auto* values = reinterpret_cast<float*>(builder.segments()[0].data());
  std::swap(values[0], values[1]);
}
void drop_bias(ModelBuilder& builder) { builder.op(0).bias.reset(); }
void lower_clamp(ModelBuilder& builder) {
  const fbs::Clamp& clamp = *builder.variant().ops.back()->clamp;
  *builder.variant().ops.back()->clamp = fbs::Clamp(clamp.minimum() - 0.1F, clamp.maximum());
}
void drop_clamp(ModelBuilder& builder) { builder.variant().ops.back()->clamp.reset(); }
void swap_inputs(ModelBuilder& builder) {
  std::vector<Tensor>& inputs = builder.variant().ops.back()->inputs;
  std::swap(inputs[0], inputs[1]);
}

// The engine runs the model as built. The reference must agree with that, and must not agree once
// the model was changed.
void check(const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    CAPTURE(mutation.name);
    const Values input = random_values(element_count(mutation.input), 5);
    ModelBuilder right(mutation.input, 3);
    mutation.build(right);
    const auto right_model = open_model(right);
    const Values scores = engine_scores(right_model, input);
    CHECK(largest_error(scores, reference_scores(*right_model, input)) < kOpTolerance);

    ModelBuilder wrong(mutation.input, 3);
    mutation.build(wrong);
    mutation.change(wrong);
    const auto wrong_model = open_model(wrong);
    const Values other = reference_scores(*wrong_model, input);
    REQUIRE(other.size() == scores.size());
    CHECK(largest_error(scores, other) > 100 * kOpTolerance);
    // And the engine follows the change as the reference does.
    CHECK(largest_error(engine_scores(wrong_model, input), other) < kOpTolerance);
  }
}

}  // namespace

TEST_CASE("a changed parameter of Conv2D is seen") {
  const fbs::Shape shape{8, 8, 4};
  const auto build = [](auto& b) { b.conv2d(b.input(), 6, kStrided, 2); };
  const auto clamped = [](auto& b) {
    b.conv2d(b.input(), 6, kStrided, 2);
    b.clamp_last(0, 1);
  };
  check({{"padding, rows", shape, build, shift_padding<fbs::Conv2DT>},
         {"padding, columns", shape, build, shift_padding_sideways<fbs::Conv2DT>},
         {"stride, rows", shape, build, widen_row_stride<fbs::Conv2DT>},
         {"stride, columns", shape, build, widen_column_stride<fbs::Conv2DT>},
         {"dilation, rows", shape, build, dilate_rows<fbs::Conv2DT>},
         {"dilation, columns", shape, build, dilate_columns<fbs::Conv2DT>},
         {"two weights swapped", shape, build, swap_weights},
         {"bias dropped", shape, build, drop_bias},
         {"clamp moved", shape, clamped, lower_clamp},
         {"clamp dropped", shape, clamped, drop_clamp}});
}

TEST_CASE("a changed parameter of DepthwiseConv2D is seen") {
  const fbs::Shape shape{8, 8, 4};
  const auto build = [](auto& b) { b.depthwise_conv2d(b.input(), kStrided, 2); };
  check({{"padding, rows", shape, build, shift_padding<fbs::DepthwiseConv2DT>},
         {"padding, columns", shape, build, shift_padding_sideways<fbs::DepthwiseConv2DT>},
         {"stride, rows", shape, build, widen_row_stride<fbs::DepthwiseConv2DT>},
         {"stride, columns", shape, build, widen_column_stride<fbs::DepthwiseConv2DT>},
         {"dilation, rows", shape, build, dilate_rows<fbs::DepthwiseConv2DT>},
         {"dilation, columns", shape, build, dilate_columns<fbs::DepthwiseConv2DT>},
         {"two weights swapped", shape, build, swap_weights},
         {"bias dropped", shape, build, drop_bias}});
}

TEST_CASE("a changed parameter of FullyConnected is seen") {
  const auto build = [](auto& b) {
    b.fully_connected(b.input(), 7);
    b.clamp_last(-0.5F, 0.5F);
  };
  check({{"two weights swapped", {2, 3, 4}, build, swap_weights},
         {"bias dropped", {2, 3, 4}, build, drop_bias},
         {"clamp moved", {2, 3, 4}, build, lower_clamp}});
}

TEST_CASE("a changed parameter of a pool is seen") {
  const fbs::Shape shape{8, 8, 4};
  const auto most = [](auto& b) { b.max_pool2d(b.input(), kStrided); };
  const auto mean = [](auto& b) { b.average_pool2d(b.input(), kStrided); };
  check({{"max: padding, rows", shape, most, shift_padding<fbs::MaxPool2DT>},
         {"max: padding, columns", shape, most, shift_padding_sideways<fbs::MaxPool2DT>},
         {"max: window", shape, most, grow_window<fbs::MaxPool2DT>},
         {"max: dilation, rows", shape, most, dilate_rows<fbs::MaxPool2DT>},
         {"max: dilation, columns", shape, most, dilate_columns<fbs::MaxPool2DT>},
         {"average: padding, rows", shape, mean, shift_padding<fbs::AveragePool2DT>},
         {"average: padding, columns", shape, mean, shift_padding_sideways<fbs::AveragePool2DT>},
         {"average: window", shape, mean, grow_window<fbs::AveragePool2DT>},
         {"average becomes max", shape, mean,
          [](auto& b) {
            fbs::MaxPool2DT pool;
            pool.window = std::make_unique<fbs::Window>(kStrided.window);
            pool.padding = std::make_unique<fbs::Padding>(kStrided.padding);
            b.op(0).options.Set(std::move(pool));
          }},
         {"global average: clamp dropped", shape,
          [](auto& b) {
            b.global_average_pool(b.input());
            b.clamp_last(0);
          },
          drop_clamp}});
}

TEST_CASE("a changed parameter of an elementwise op is seen") {
  const fbs::Shape shape{3, 4, 5};
  check(
      {{"clamp moved", shape, [](auto& b) { b.clamp(b.input(), 0, 1); }, lower_clamp},
       {"slope", shape, [](auto& b) { b.leaky_relu(b.input(), 0.1F); },
        [](auto& b) { options<fbs::LeakyReluT>(b, 0).negative_slope = 0.11F; }},
       {"hard swish becomes sigmoid", shape, [](auto& b) { b.hard_swish(b.input()); },
        [](auto& b) { b.op(0).options.Set(fbs::SigmoidT{}); }},
       {"sigmoid becomes softmax", shape, [](auto& b) { b.sigmoid(b.input()); },
        [](auto& b) { b.op(0).options.Set(fbs::SoftmaxT{}); }},
       {"softmax becomes sigmoid", shape, [](auto& b) { b.softmax(b.input()); },
        [](auto& b) { b.op(0).options.Set(fbs::SigmoidT{}); }},
       {"add becomes multiply", shape, [](auto& b) { b.add(b.input(), b.sigmoid(b.input())); },
        [](auto& b) { b.op(1).options.Set(fbs::MultiplyT{}); }},
       {"multiply becomes add", shape, [](auto& b) { b.multiply(b.input(), b.sigmoid(b.input())); },
        [](auto& b) { b.op(1).options.Set(fbs::AddT{}); }}});
}

TEST_CASE("a changed parameter of Concat, Pad or Lrn is seen") {
  const fbs::Shape shape{3, 4, 6};
  const auto lrn = [](auto& b) { b.lrn(b.input(), 3, 0.5F, 0.75F, 1); };
  const auto pad = [](auto& b) { b.pad(b.input(), {1, 1, 1, 1}, 0.5F); };
  check({{"order of a concat", shape,
          [](auto& b) {
            b.concat({b.sigmoid(b.input()), b.input()});
          },
          swap_inputs},
         {"place of a pad", shape, pad,
          [](auto& b) { *options<fbs::PadT>(b, 0).padding = fbs::Padding(2, 1, 0, 1); }},
         {"side of a pad", shape, pad,
          [](auto& b) { *options<fbs::PadT>(b, 0).padding = fbs::Padding(1, 2, 1, 0); }},
         {"value of a pad", shape, pad, [](auto& b) { options<fbs::PadT>(b, 0).value = 0.25F; }},
         {"LRN size", shape, lrn, [](auto& b) { options<fbs::LrnT>(b, 0).size = 5; }},
         {"LRN alpha", shape, lrn, [](auto& b) { options<fbs::LrnT>(b, 0).alpha = 0.6F; }},
         {"LRN beta", shape, lrn, [](auto& b) { options<fbs::LrnT>(b, 0).beta = 0.7F; }},
         {"LRN bias", shape, lrn, [](auto& b) { options<fbs::LrnT>(b, 0).bias = 1.1F; }}});
}

}  // namespace cleave::test
