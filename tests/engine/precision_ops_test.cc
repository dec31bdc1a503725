// SPDX-License-Identifier: Apache-2.0
//
// Operators on int8 tensors, and on f16 and int8 weights, against plain loops in double precision
// on the real numbers that the integers stand for. An int8 result may be off by what rounding
// leaves. Pictures of a batch are, bit for bit, what they are one by one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "engine/aligned_buffer.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

constexpr float kUnbounded = std::numeric_limits<float>::infinity();
// Of a step: rounding to the nearest, sums and scales being f32.
constexpr double kMostSteps = 0.51;
constexpr double kF32Tolerance = 2e-5;

struct PrecisionCase {
  std::string name;
  fbs::Shape input;
  std::function<void(ModelBuilder&)> build;
  double most = 1;  // of what is allowed otherwise
};

Values to_real(const BoundaryBuffer& buffer, const TensorType& type) {
  if (type.dtype == fbs::DType::F32) return {buffer.f32().begin(), buffer.f32().end()};
  Values values;
  for (const std::byte byte : buffer.as_bytes()) {
    const auto q = static_cast<std::int8_t>(byte);
    values.push_back(static_cast<float>(q - type.zero_point) * type.scale);
  }
  return values;
}

// REQUIRES: values that the type holds.
void write(const Values& values, const TensorType& type, const BoundaryBuffer& buffer) {
  REQUIRE(values.size() == buffer.elements);
  if (type.dtype == fbs::DType::F32) {
    std::ranges::copy(values, buffer.f32().begin());
    return;
  }
  std::ranges::transform(values, buffer.as_bytes().begin(), [&](float value) {
    return static_cast<std::byte>(std::lround(value / type.scale) + type.zero_point);
  });
}

// Of `expected` as far as the type reaches.
double error(float computed, float expected, const TensorType& type) {
  if (type.dtype == fbs::DType::F32) {
    return std::abs(double{computed} - expected) / std::max(1.0, std::abs(double{expected})) /
           kF32Tolerance;
  }
  const double least = (-128.0 - type.zero_point) * type.scale;
  const double most = (127.0 - type.zero_point) * type.scale;
  const double reached = std::clamp(double{expected}, least, most);
  return std::abs(computed - reached) / type.scale / kMostSteps;
}

// Runs the model op by op on `picture`, each on what the one before computed; the worst error, 1
// being allowed.
double worst_error(const std::shared_ptr<const ModelFile>& model, Executor& executor,
                   const Values& picture) {
  const fbs::Variant& variant = first_variant(*model);
  const auto type = [&](TensorId id) { return tensor_type(*variant.tensors()->Get(id)); };
  TensorMap real{{variant.input(), picture}};
  double worst = 0;
  for (OpIndex op = 0; op < op_count(*model); ++op) {
    require_ok(executor.prepare({op, op + 1}, 1));
    for (const BoundaryBuffer& input : executor.inputs()) {
      write(real.at(input.tensor), type(input.tensor), input);
    }
    require_ok(executor.run());
    std::vector<Values> inputs;
    for (const TensorId id : *variant.ops()->Get(op)->inputs()) inputs.push_back(real.at(id));
    const TensorId written = variant.ops()->Get(op)->output();
    const Values expected = reference_op(*model, variant, op, inputs);
    for (const BoundaryBuffer& output : executor.outputs()) {
      if (output.tensor == written) real[written] = to_real(output, type(written));
    }
    REQUIRE(real[written].size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, error(real[written][i], expected[i], type(written)));
    }
  }
  return worst;
}

double worst_error(ModelBuilder& builder, unsigned threads) {
  const auto model = open_model(builder);
  const auto executor = make_executor(model, threads);
  const fbs::Variant& variant = first_variant(*model);
  const fbs::Shape& shape = *variant.tensors()->Get(variant.input())->shape();
  return worst_error(model, *executor, random_values(element_count(shape), 11));
}

// The bytes that a run of `batch` pictures gives, and those of runs of one picture each.
void check_batch(ModelBuilder& builder, std::uint32_t batch) {
  const auto model = open_model(builder);
  const OpRange all{0, op_count(*model)};
  const auto executor = make_executor(model);
  require_ok(executor->prepare(all, batch));
  const std::size_t elements = executor->inputs()[0].elements / batch;
  const Values pixels = random_values(elements * batch, 13);
  std::ranges::copy(pixels, executor->inputs()[0].f32().begin());
  require_ok(executor->run());
  const auto together = executor->outputs()[0].as_bytes();
  const std::vector<std::byte> expected(together.begin(), together.end());
  std::vector<std::byte> one_by_one;
  require_ok(executor->prepare(all, 1));
  for (std::uint32_t picture = 0; picture < batch; ++picture) {
    std::copy_n(pixels.begin() + static_cast<std::ptrdiff_t>(picture * elements), elements,
                executor->inputs()[0].f32().begin());
    require_ok(executor->run());
    const auto one = executor->outputs()[0].as_bytes();
    one_by_one.insert(one_by_one.end(), one.begin(), one.end());
  }
  CHECK(one_by_one == expected);
}

void check_precisions(const std::vector<PrecisionCase>& cases) {
  for (const PrecisionCase& op : cases) {
    CAPTURE(op.name);
    for (const unsigned threads : {1U, 2U}) {
      ModelBuilder builder(op.input, 7);
      op.build(builder);
      CHECK(worst_error(builder, threads) <= op.most);
    }
    for (const std::uint32_t batch : {2U, 3U}) {
      CAPTURE(batch);
      ModelBuilder builder(op.input, 7);
      op.build(builder);
      check_batch(builder, batch);
    }
  }
}

Tensor int8_input(ModelBuilder& b) { return b.to_int8(b.input(), 4.0F / 255, -3); }

}  // namespace

TEST_CASE("int8 convolutions: windows, strides, groups, odd channels, clamps, no bias") {
  const auto conv = [](std::uint32_t outputs, WindowSpec window, std::uint32_t groups = 1) {
    return [=](ModelBuilder& b) {
      const Tensor x = b.conv2d(int8_input(b), outputs, window, groups);
      b.int8_last(0.05F, 12);
      b.to_f32(x);
    };
  };
  check_precisions({
      {"1x1", {5, 7, 3}, conv(5, {})},
      {"1x1 wide", {6, 5, 67}, conv(35, {})},
      {"3x3 padded", {9, 11, 3}, conv(19, {.window = 3, .pad = 1})},
      {"3x3 stride 2", {10, 9, 17}, conv(33, {.window = 3, .stride = 2, .pad = 1})},
      {"3x3 of many channels, stride 2",
       {8, 8, 64},
       conv(64, {.window = 3, .stride = 2, .pad = 1})},
      {"5x5 dilated", {13, 12, 5}, conv(7, {.window = 5, .dilation = 2, .pad = 3})},
      {"grouped", {7, 7, 12}, conv(18, {.window = 3, .pad = 1}, 3)},
      {"one channel a group", {7, 7, 12}, conv(12, {.window = 3, .pad = 1}, 12)},
      {"clamped, no bias",
       {6, 6, 8},
       [](ModelBuilder& b) {
         const Tensor x = b.conv2d(int8_input(b), 9, WindowSpec{.window = 3});
         b.drop_last_bias();
         b.int8_last(6.0F / 255, -128);
         b.clamp_last(0, 3);
         b.to_f32(x);
       }},
  });
}

// Where kernels are there (engine/ops/winograd_conv2d.h). Weights are rounded once more there, to
// 11 bits or better: a value between two steps may go to the other one.
TEST_CASE("int8 convolutions by Winograd's filtering") {
  constexpr double kEitherNeighbour = 1.0 / kMostSteps;
  const auto conv = [](std::uint32_t outputs, WindowSpec window) {
    return [=](ModelBuilder& b) {
      const Tensor x = b.conv2d(int8_input(b), outputs, window);
      b.int8_last(0.05F, 12);
      b.to_f32(x);
    };
  };
  std::vector<PrecisionCase> cases;
  for (const std::uint32_t side : {3, 5}) {
    const WindowSpec padded{.window = side, .pad = side / 2};
    const std::string name = std::to_string(side) + "x" + std::to_string(side);
    for (const std::uint32_t height : {1, 4, 5, 11}) {
      cases.push_back({name, {height, 9, 16}, conv(33, padded), kEitherNeighbour});
    }
    // The second 3x3: few tiles and many kernels, which makes them smaller
    // (ops/winograd_weights.h).
    for (const std::uint32_t outputs : {64, 181}) {
      cases.push_back(
          {name + " of many channels", {9, 8, 200}, conv(outputs, padded), kEitherNeighbour});
    }
    cases.push_back(
        {name + ", not padded", {9, 8, 19}, conv(17, {.window = side}), kEitherNeighbour});
    cases.push_back({name + ", clamped, no bias",
                     {6, 6, 16},
                     [=](ModelBuilder& b) {
                       const Tensor x = b.conv2d(int8_input(b), 18, padded);
                       b.drop_last_bias();
                       b.int8_last(6.0F / 255, -128);
                       b.clamp_last(0, 3);
                       b.to_f32(x);
                     },
                     kEitherNeighbour});
  }
  check_precisions(cases);
}

// All channels alike: what is summed over them has one sign. Signs of the picture's rows and
// columns are those of the transforms' rows, so that what they give is as large as int8 allows.
TEST_CASE("int8 sums of Winograd's filtering do not overflow") {
  constexpr double kTwoSteps = 2.0 / kMostSteps;
  constexpr std::uint32_t kSide = 6;
  const std::vector<std::string> signs = {"++-+++", "+--+++", "++--++", "+++-++", "++++++"};
  for (const std::uint32_t window : {3, 5}) {
    for (const std::uint32_t channels : {128, 144}) {
      ModelBuilder b({kSide, kSide, channels}, 7);
      const Tensor x = b.conv2d(b.to_int8(b.input(), 1.0F, 0), 16, WindowSpec{.window = window});
      b.int8_last(static_cast<float>(window * window * channels), 0);
      b.to_f32(x);
      fbs::OpT& conv = b.op(1);
      const auto kernel = std::span(b.segments().at(static_cast<std::size_t>(conv.segment)))
                              .subspan(conv.kernel->offset, conv.kernel->bytes);
      std::ranges::fill(kernel, std::byte{127});
      std::ranges::fill(conv.kernel->quantization->scale, 1.0F / 127);
      const auto model = open_model(b);
      const auto executor = make_executor(model);
      for (const std::string& rows : signs) {
        for (const std::string& columns : signs) {
          for (const char plus : {'+', '-'}) {
            CAPTURE(rows);
            CAPTURE(columns);
            Values picture;
            for (std::size_t i = 0; i < kSide * kSide * channels; ++i) {
              const std::size_t pixel = i / channels;
              const bool same = rows[pixel / kSide] == columns[pixel % kSide];
              picture.push_back(same == (plus == '+') ? 127.0F : -128.0F);
            }
            CHECK(worst_error(model, *executor, picture) <= kTwoSteps);
          }
        }
      }
    }
  }
}

// Where kernels are there (engine/ops/int8_im2col_conv2d.h).
TEST_CASE("int8 convolutions of few channels") {
  std::vector<PrecisionCase> cases;
  const auto add = [&](const char* name, fbs::Shape input, std::uint32_t outputs,
                       WindowSpec window) {
    cases.push_back({name, input, [=](ModelBuilder& b) {
                       const Tensor x = b.conv2d(int8_input(b), outputs, window);
                       b.int8_last(0.05F, 12);
                       b.to_f32(x);
                     }});
  };
  add("3x3 stride 2 of 3", {17, 19, 3}, 33, {.window = 3, .stride = 2, .pad = 1});
  add("3x3 of 1", {9, 5, 1}, 8, {.window = 3, .pad = 1});
  add("7x7 stride 2 of 4", {15, 14, 4}, 64, {.window = 7, .stride = 2, .pad = 3});
  add("11x11 stride 4 of 3", {35, 31, 3}, 20, {.window = 11, .stride = 4, .pad = 2});
  add("2x2 of 3, not padded", {8, 8, 3}, 5, {.window = 2, .stride = 2});
  add("5x5 over a picture of 2x3", {2, 3, 2}, 17, {.window = 5, .pad = 2});
  add("as large as may be", {12, 13, 4}, 6, {.window = 11, .pad = 5});
  add("too large", {12, 13, 4}, 6, {.window = 12, .pad = 5});
  add("dilated", {9, 11, 3}, 7, {.window = 3, .dilation = 2, .pad = 2});
  check_precisions(cases);
}

TEST_CASE("int8 depthwise convolutions") {
  const auto depthwise = [](WindowSpec window, std::uint32_t multiplier = 1) {
    return [=](ModelBuilder& b) {
      const Tensor x = b.depthwise_conv2d(int8_input(b), window, multiplier);
      b.int8_last(0.03F, -20);
      b.clamp_last(-1, 1.5F);
      b.to_f32(x);
    };
  };
  check_precisions({
      {"3x3", {9, 10, 16}, depthwise({.window = 3, .pad = 1})},
      {"3x3 stride 2, odd channels", {11, 9, 37}, depthwise({.window = 3, .stride = 2, .pad = 1})},
      {"5x5", {9, 9, 8}, depthwise({.window = 5, .pad = 2})},
      {"7x7", {9, 9, 3}, depthwise({.window = 7, .pad = 3})},
      {"multiplier", {6, 6, 5}, depthwise({.window = 3, .pad = 1}, 3)},
      {"dilated", {11, 12, 20}, depthwise({.window = 3, .dilation = 2, .pad = 2})},
      {"narrower than its window", {2, 2, 16}, depthwise({.window = 5, .pad = 2})},
      {"one pixel", {1, 1, 33}, depthwise({.window = 3, .pad = 1})},
      {"2x2, stride 3", {9, 8, 16}, depthwise({.window = 2, .stride = 3})},
      {"9x9, too many taps for ours", {12, 12, 4}, depthwise({.window = 9, .pad = 4})},
      {"padded unevenly, zero points at the ends",
       {7, 6, 18},
       [](ModelBuilder& b) {
         const Tensor x = b.to_int8(b.input(), 2.0F / 255, -128);
         const Tensor y = b.depthwise_conv2d(x, {{3, 3, 2, 1, 1, 1}, {0, 2, 1, 0}});
         b.int8_last(0.03F, 127);
         b.to_f32(y);
       }},
  });
}

TEST_CASE("int8 pools, clamps, paddings and concatenations keep their scale") {
  const auto pool = [](WindowPadding window) {
    return [=](ModelBuilder& b) {
      const Tensor x = b.max_pool2d(int8_input(b), window);
      b.int8_last(4.0F / 255, -3);
      b.clamp_last(-1, 1);
      b.to_f32(x);
    };
  };
  check_precisions({
      {"max 2x2", {8, 8, 5}, pool(WindowSpec{.window = 2, .stride = 2})},
      {"max 3x3 padded", {9, 7, 19}, pool(WindowSpec{.window = 3, .stride = 2, .pad = 1})},
      {"max, stride wider than the window", {9, 9, 3}, pool(WindowSpec{.window = 1, .stride = 2})},
      {"max, dilated and padded",
       {9, 9, 3},
       pool(WindowSpec{.window = 2, .dilation = 2, .pad = 1})},
      {"clamp",
       {4, 5, 3},
       [](ModelBuilder& b) {
         const Tensor x = b.clamp(int8_input(b), -0.5F, 0.75F);
         b.int8_last(4.0F / 255, -3);
         b.to_f32(x);
       }},
      {"pad",
       {4, 5, 3},
       [](ModelBuilder& b) {
         const Tensor x = b.pad(int8_input(b), {1, 0, 2, 1}, 0.5F);
         b.int8_last(4.0F / 255, -3);
         b.to_f32(x);
       }},
      {"concat",
       {4, 5, 3},
       [](ModelBuilder& b) {
         const Tensor x = int8_input(b);
         const Tensor y = b.conv2d(x, 6, WindowSpec{});
         b.int8_last(4.0F / 255, -3);
         const Tensor z = b.concat({x, y, x});
         b.int8_last(4.0F / 255, -3);
         b.to_f32(z);
       }},
  });
}

TEST_CASE("int8 sums, and conversions between scales") {
  check_precisions({
      {"add",
       {5, 6, 13},
       [](ModelBuilder& b) {
         const Tensor x = int8_input(b);
         const Tensor y = b.conv2d(x, 13, WindowSpec{});
         b.int8_last(0.04F, 5);
         const Tensor z = b.add(x, y);
         b.int8_last(0.06F, -10);
         b.to_f32(z);
       }},
      {"add, clamped",
       {5, 6, 13},
       [](ModelBuilder& b) {
         const Tensor x = int8_input(b);
         const Tensor y = b.conv2d(x, 13, WindowSpec{});
         b.int8_last(0.04F, 5);
         const Tensor z = b.add(x, y);
         b.int8_last(0.05F, -128);
         b.clamp_last(0, 6);
         b.to_f32(z);
       }},
      {"to another scale",
       {5, 6, 13},
       [](ModelBuilder& b) {
         b.to_f32(b.to_int8(b.to_int8(b.input(), 4.0F / 255, 0), 3.1F / 255, 17));
       },
       // XNNPACK rounds the ratio of the scales to a multiple of 1/256.
       1.3},
  });
}

TEST_CASE("f16 and int8 kernels on f32 tensors") {
  check_precisions({
      {"f16 3x3",
       {9, 8, 20},
       [](ModelBuilder& b) {
         b.conv2d(b.input(), 24, WindowSpec{.window = 3, .pad = 1});
         b.store_last_kernel(fbs::DType::F16);
         b.clamp_last(0, kUnbounded);
       }},
      {"f16 5x5 stride 2",
       {9, 8, 3},
       [](ModelBuilder& b) {
         b.conv2d(b.input(), 11, WindowSpec{.window = 5, .stride = 2, .pad = 2});
         b.store_last_kernel(fbs::DType::F16);
       }},
      {"f16 depthwise",
       {9, 8, 21},
       [](ModelBuilder& b) {
         b.depthwise_conv2d(b.input(), WindowSpec{.window = 3, .pad = 1});
         b.store_last_kernel(fbs::DType::F16);
       }},
      {"f16 one channel a group",
       {7, 7, 6},
       [](ModelBuilder& b) {
         b.conv2d(b.input(), 6, WindowSpec{.window = 3, .pad = 1}, 6);
         b.store_last_kernel(fbs::DType::F16);
       }},
      {"f16 fully connected",
       {3, 3, 7},
       [](ModelBuilder& b) {
         b.fully_connected(b.input(), 29);
         b.store_last_kernel(fbs::DType::F16);
       }},
      {"int8 fully connected",
       {3, 3, 7},
       [](ModelBuilder& b) {
         b.fully_connected(b.input(), 29);
         b.store_last_kernel(fbs::DType::S8);
       }},
  });
}

TEST_CASE("an int8 cut carries a byte an element, in the executor's own buffer or a bound one") {
  ModelBuilder b({6, 5, 3}, 3);
  const Tensor x = b.conv2d(int8_input(b), 4, WindowSpec{.window = 3});
  b.int8_last(0.05F, 0);
  b.to_f32(x);
  const auto model = open_model(b);
  const std::vector<Cut> cuts = find_cuts(model->header(), 0);
  CHECK(cuts[0].boundary_bytes == 6 * 5 * 3 * 4);
  CHECK(cuts[1].boundary_bytes == 6 * 5 * 3);
  CHECK(cuts[2].boundary_bytes == 4 * 3 * 4);
  CHECK(cuts[3].boundary_bytes == 4 * 3 * 4 * 4);
  const auto whole = make_executor(model);
  require_ok(whole->prepare({0, 3}, 2));
  const Values pixels = random_values(2 * 6 * 5 * 3, 5);
  std::ranges::copy(pixels, whole->inputs()[0].f32().begin());
  require_ok(whole->run());
  const auto head = make_executor(model);
  const auto tail = make_executor(model);
  require_ok(head->prepare({0, 2}, 2));
  require_ok(tail->prepare({2, 3}, 2));
  const BoundaryBuffer& sent = head->outputs()[0];
  CHECK(sent.dtype == fbs::DType::S8);
  CHECK(sent.bytes() == 2 * cuts[2].boundary_bytes);
  std::ranges::copy(pixels, head->inputs()[0].f32().begin());
  require_ok(head->run());
  AlignedBuffer received(sent.bytes());
  std::memcpy(received.data(), sent.data, sent.bytes());
  require_ok(tail->bind_input(0, received.data()));
  require_ok(tail->run());
  CHECK(std::ranges::equal(tail->outputs()[0].f32(), whole->outputs()[0].f32()));
}

}  // namespace cleave::test
