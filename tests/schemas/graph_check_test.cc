// SPDX-License-Identifier: Apache-2.0
//
// The rules of one variant: each op, its weights, and how ops hang together. Op numbers are those
// of all_ops_model() (tests/support/sample_models.h).
#include <doctest/doctest.h>

#include <limits>

#include "schemas/model_preamble.h"
#include "tests/schemas/spoiled_model.h"

namespace cleave {
namespace {

using test::check_spoiled;
using test::Spoil;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

enum : std::size_t {
  kConv = 0,
  kDepthwise = 1,
  kAdd = 2,
  kMaxPool = 3,
  kPad = 4,
  kAveragePool = 5,
  kLrn = 6,
  kLeaky = 7,
  kConcat = 9,
  kGrouped = 10,
  kClamp = 14,
  kFullyConnected = 15,
  kSoftmax = 16
};

fbs::OpT& op(fbs::ModelT& model, std::size_t index) { return *model.variants[0]->ops[index]; }

void check_all(const std::vector<Spoil>& spoils) {
  for (const Spoil& spoil : spoils) check_spoiled(test::all_ops_model, spoil);
}

TEST_CASE("counts, input and output") {
  check_all({
      {[](fbs::ModelT& m) { m.variants[0]->ops.clear(); }, "variant 0: 0 ops"},
      {[](fbs::ModelT& m) { m.variants[0]->tensors.pop_back(); }, "17 tensors, but 17 ops"},
      {[](fbs::ModelT& m) {
         m.variants[0]->tensors.push_back(
             std::make_unique<fbs::TensorT>(*m.variants[0]->tensors[0]));
       },
       "19 tensors"},
      {[](fbs::ModelT& m) { m.variants[0]->input = 18; }, "input or output is not a tensor"},
      {[](fbs::ModelT& m) { m.variants[0]->output = ~0u; }, "input or output is not a tensor"},
      {[](fbs::ModelT& m) { m.variants[0]->output = 0; }, "the output is the input"},
      {[](fbs::ModelT& m) { m.variants[0]->output = 16; }, "tensor 17 is never read"},
      {[](fbs::ModelT& m) { m.variants[0]->input = 1; }, "reads tensor 0, which nothing"},
  });
}

TEST_CASE("graph order and single writers") {
  check_all({
      {[](fbs::ModelT& m) { std::swap(m.variants[0]->ops[0], m.variants[0]->ops[1]); },
       "op 0 (DepthwiseConv2D): reads tensor 1, which nothing before it writes"},
      {[](fbs::ModelT& m) { op(m, kAdd).inputs[1] = 3; }, "reads tensor 3"},
      {[](fbs::ModelT& m) { op(m, kAdd).inputs[1] = 1000; }, "reads tensor 1000"},
      {[](fbs::ModelT& m) { op(m, kAdd).output = 2; }, "writes tensor 2, which has its value"},
      {[](fbs::ModelT& m) { op(m, kAdd).output = 0; }, "writes tensor 0"},
      {[](fbs::ModelT& m) { op(m, kAdd).output = 18; }, "output is not a tensor"},
      {[](fbs::ModelT& m) {
         op(m, kAdd).inputs = {1, 1};
       },
       "tensor 2 is never read"},
      {[](fbs::ModelT& m) { op(m, kAdd).inputs = {1}; }, "1 inputs, must be 2"},
      {[](fbs::ModelT& m) { op(m, kConv).inputs = {}; }, "0 inputs, must be 1"},
      {[](fbs::ModelT& m) { op(m, kConcat).inputs = {8}; }, "1 inputs, must be 2..256"},
      {[](fbs::ModelT& m) { op(m, kConcat).inputs.assign(257, 8); }, "too many inputs"},
  });
}

TEST_CASE("shapes are what the ops compute") {
  for (std::size_t tensor = 1; tensor <= 17; ++tensor) {
    const auto spoil = [tensor](fbs::ModelT& m) {
      fbs::Shape& shape = *m.variants[0]->tensors[tensor]->shape;
      shape = {shape.height() + 1, shape.width(), shape.channels()};
    };
    check_spoiled(test::all_ops_model, spoil, "op " + std::to_string(tensor - 1) + " (");
  }
  check_all({
      {[](fbs::ModelT& m) { m.variants[0]->tensors[3]->shape.reset(); }, "shape is missing"},
      {[](fbs::ModelT& m) {
         *m.variants[0]->tensors[3]->shape = {0, 8, 4};
       },
       "dimension is not"},
      {[](fbs::ModelT& m) {
         *m.variants[0]->tensors[3]->shape = {65536, 65536, 2};
       },
       "more than 2^31"},
  });
}

// A FlatBuffer may be well formed with a union type that the schema does not have.
TEST_CASE("an operator that this build does not know") {
  std::vector<std::byte> file = test::all_ops_model().build();
  auto* model = const_cast<fbs::Model*>(fbs::GetModel(file.data() + kModelPreambleBytes));
  const fbs::Op* softmax = model->variants()->Get(0)->ops()->Get(kSoftmax);
  auto* table =
      const_cast<flatbuffers::Table*>(reinterpret_cast<const flatbuffers::Table*>(softmax));
  for (const std::uint8_t type :
       {std::uint8_t{0}, static_cast<std::uint8_t>(static_cast<int>(fbs::OpOptions::MAX) + 1),
        std::uint8_t{255}}) {
    REQUIRE(table->SetField<std::uint8_t>(fbs::Op::VT_OPTIONS_TYPE, type, 0));
    test::reseal(file, test::header_bytes_of(file));
    const Status status = ModelFile::from_bytes(file).status();
    CHECK(status.code() == StatusCode::kCorrupt);
    CHECK(status.message() == "variant 0: op 16 (unknown operator): unknown operator");
  }
}

TEST_CASE("windows") {
  const auto conv = [](fbs::ModelT& m) -> fbs::Conv2DT& {
    return *op(m, kConv).options.AsConv2D();
  };
  check_all({
      {[&](fbs::ModelT& m) { conv(m).window.reset(); }, "window or padding is missing"},
      {[&](fbs::ModelT& m) { conv(m).padding.reset(); }, "window or padding is missing"},
      {[&](fbs::ModelT& m) { *conv(m).window = {3, 3, 0, 1, 1, 1}; }, "window, stride or dilation"},
      {[&](fbs::ModelT& m) { *conv(m).window = {3, 3, 1, 1, 1, 0}; }, "window, stride or dilation"},
      {[&](fbs::ModelT& m) { *conv(m).window = {0, 3, 1, 1, 1, 1}; }, "window, stride or dilation"},
      {[&](fbs::ModelT& m) { *conv(m).window = {3, 3, 1, 1, 5, 1}; }, "does not fit the padded"},
      {[&](fbs::ModelT& m) { *conv(m).window = {3, 3, 2, 1, 1, 1}; }, "it computes 4x8x4"},
      {[&](fbs::ModelT& m) {
         *conv(m).padding = {~0u, 1, 1, 1};
       },
       "padding over 4096"},
      {[&](fbs::ModelT& m) { conv(m).groups = 0; }, "0 groups do not divide"},
      {[&](fbs::ModelT& m) { conv(m).groups = 2; }, "2 groups do not divide 3 input"},
      {[](fbs::ModelT& m) { op(m, kGrouped).options.AsConv2D()->groups = 4; },
       "it computes 4x4x12"},
      {[](fbs::ModelT& m) { op(m, kGrouped).kernel->bytes = 5 * 4 * sizeof(float); },
       "2 groups do not divide 5 output"},
      {[](fbs::ModelT& m) { op(m, kDepthwise).options.AsDepthwiseConv2D()->multiplier = 0; },
       "multiplier 0"},
      {[](fbs::ModelT& m) { op(m, kDepthwise).options.AsDepthwiseConv2D()->multiplier = ~0u; },
       "is 0 or too large"},
      {[](fbs::ModelT& m) { op(m, kMaxPool).options.AsMaxPool2D()->padding.reset(); }, "missing"},
      {[](fbs::ModelT& m) {
         *op(m, kMaxPool).options.AsMaxPool2D()->padding = {2, 0, 0, 0};
       },
       "wholly in the padding"},
      {[](fbs::ModelT& m) {
         *op(m, kAveragePool).options.AsAveragePool2D()->window = {3, 3, 1, 1, 2, 1};
       },
       "dilation must be 1"},
      {[](fbs::ModelT& m) { op(m, kPad).options.AsPad()->padding.reset(); }, "padding is missing"},
      {[](fbs::ModelT& m) {
         *op(m, kPad).options.AsPad()->padding = {0, 5000, 0, 0};
       },
       "padding over"},
  });
}

TEST_CASE("constants and clamps") {
  check_all({
      {[](fbs::ModelT& m) { op(m, kPad).options.AsPad()->value = kNan; }, "value is NaN"},
      {[](fbs::ModelT& m) { op(m, kLeaky).options.AsLeakyRelu()->negative_slope = kInf; },
       "negative_slope"},
      {[](fbs::ModelT& m) { op(m, kLrn).options.AsLrn()->size = 0; }, "size is not"},
      {[](fbs::ModelT& m) { op(m, kLrn).options.AsLrn()->alpha = -1; }, "alpha is negative"},
      {[](fbs::ModelT& m) { op(m, kLrn).options.AsLrn()->bias = 0; }, "bias not positive"},
      {[](fbs::ModelT& m) { op(m, kLrn).options.AsLrn()->beta = kNan; }, "not finite"},
      {[](fbs::ModelT& m) { op(m, kClamp).clamp.reset(); }, "clamp is missing"},
      {[](fbs::ModelT& m) {
         *op(m, kConv).clamp = {kNan, 1};
       },
       "clamp:"},
      {[](fbs::ModelT& m) {
         *op(m, kConv).clamp = {0, kNan};
       },
       "clamp:"},
      {[](fbs::ModelT& m) {
         *op(m, kConv).clamp = {2, 1};
       },
       "clamp:"},
      {[](fbs::ModelT& m) {
         *op(m, kConv).clamp = {kInf, kInf};
       },
       "clamp:"},
      {[](fbs::ModelT& m) {
         *op(m, kConv).clamp = {-kInf, -kInf};
       },
       "clamp:"},
  });
  check_spoiled(
      test::all_ops_model,
      [](fbs::ModelT& m) {
        *op(m, kConv).clamp = {1, 1};
      },
      "");
}

TEST_CASE("weights") {
  check_all({
      {[](fbs::ModelT& m) { op(m, kConv).segment = -1; }, "segment -1 does not exist"},
      {[](fbs::ModelT& m) { op(m, kConv).segment = 4; }, "segment 4 does not exist"},
      {[](fbs::ModelT& m) { op(m, kConv).segment = -2147483647; }, "does not exist"},
      {[](fbs::ModelT& m) { op(m, kAdd).segment = 0; }, "without weights names some"},
      {[](fbs::ModelT& m) {
         op(m, kAdd).bias = std::make_unique<fbs::WeightViewT>(*op(m, kConv).bias);
       },
       "without weights names some"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel.reset(); }, "kernel is missing"},
      {[](fbs::ModelT& m) { op(m, kDepthwise).kernel.reset(); }, "kernel: is missing"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->bytes -= 4; }, "not 1..65536 outputs of 108"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->bytes = 0; }, "not 1..65536 outputs"},
      {[](fbs::ModelT& m) { op(m, kFullyConnected).kernel->bytes = ~std::uint64_t{0}; },
       "outputs of 384"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->bytes = 108; }, "it computes 8x8x1"},
      {[](fbs::ModelT& m) { op(m, kDepthwise).kernel->bytes += 4; },
       "kernel: has 148 bytes, its shape demands 144"},
      {[](fbs::ModelT& m) { op(m, kConv).bias->bytes = 12; }, "bias: has 12 bytes"},
      {[](fbs::ModelT& m) { op(m, kConv).bias->offset += 4; }, "not a multiple of 64"},
      {[](fbs::ModelT& m) { op(m, kConv).bias->offset += 64; }, "bias: does not lie in"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->offset = ~std::uint64_t{63}; },
       "kernel: does not lie in its segment"},
      {[](fbs::ModelT& m) { op(m, kConv).bias->offset = 0; }, "bias: overlaps the kernel"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->dtype = static_cast<fbs::DType>(5); },
       "unknown dtype"},
      // Two ops of equal weights on one segment, and a segment that nothing names.
      {[](fbs::ModelT& m) { op(m, kGrouped).segment = 3; }, "names a segment that an earlier"},
  });
  check_spoiled(
      test::all_ops_model,
      [](fbs::ModelT& m) {
        op(m, kConv).kernel->dtype = fbs::DType::F16;
        op(m, kConv).kernel->bytes /= 2;
      },
      "weights that are not f32");
  check_spoiled(
      test::all_ops_model, [](fbs::ModelT& m) { op(m, kConv).bias.reset(); }, "");
}

TEST_CASE("every segment belongs to an op") {
  test::ModelBuilder builder = test::all_ops_model();
  builder.segments().push_back(std::vector<std::byte>(64));
  const Status status = ModelFile::from_bytes(builder.build()).status();
  CHECK(status.message() == "a segment belongs to no op");
}

TEST_CASE("quantization parameters") {
  const auto quantize = [](fbs::ModelT& m, std::vector<float> scale, std::vector<int> zero,
                           std::int32_t axis) {
    auto parameters = std::make_unique<fbs::QuantizationT>();
    parameters->scale = std::move(scale);
    parameters->zero_point = std::move(zero);
    parameters->axis = axis;
    op(m, kConv).kernel->quantization = std::move(parameters);
  };
  const std::vector<Spoil> spoils = {
      {[&](fbs::ModelT& m) {
         quantize(m, {1, 1}, {0, 0}, 0);
       },
       "kernel: quantization: neither"},
      {[&](fbs::ModelT& m) {
         quantize(m, {1, 1, 1, 1}, {0, 0, 0, 0}, -1);
       },
       "neither one scale"},
      {[&](fbs::ModelT& m) { quantize(m, {1}, {0}, 4); }, "no such axis"},
      {[&](fbs::ModelT& m) { quantize(m, {1}, {0}, -2); }, "no such axis"},
      {[&](fbs::ModelT& m) {
         quantize(m, {1}, {0, 0}, -1);
       },
       "not as many zero points"},
      {[&](fbs::ModelT& m) { quantize(m, {1}, {}, -1); }, "is missing"},
      {[&](fbs::ModelT& m) { quantize(m, {-1}, {0}, -1); }, "negative or not finite"},
      {[&](fbs::ModelT& m) { quantize(m, {kNan}, {0}, -1); }, "negative or not finite"},
      {[&](fbs::ModelT& m) {
         quantize(m, {1}, {0}, -1);
         op(m, kConv).kernel->quantization->dtype = static_cast<fbs::DType>(77);
       },
       "unknown dtype"},
  };
  check_all(spoils);
  const auto per_channel = [&](fbs::ModelT& m) { quantize(m, {1, 2, 3, 0}, {0, 0, 0, 0}, 0); };
  check_spoiled(test::all_ops_model, per_channel, "");
}

}  // namespace
}  // namespace cleave
