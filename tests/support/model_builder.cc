// SPDX-License-Identifier: Apache-2.0
#include "tests/support/model_builder.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "schemas/op_shape.h"

namespace cleave::test {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are stored as they are held");

constexpr std::uint64_t kViewAlignment = 64;

template <typename OptionsT>
fbs::OpOptionsUnion options(OptionsT value) {
  fbs::OpOptionsUnion result;
  result.Set(std::move(value));
  return result;
}

template <typename OptionsT>
fbs::OpOptionsUnion windowed(const WindowPadding& window) {
  OptionsT value;
  value.window = std::make_unique<fbs::Window>(window.window);
  value.padding = std::make_unique<fbs::Padding>(window.padding);
  return options(std::move(value));
}

fbs::Shape infer(const fbs::OpT& op, const std::vector<fbs::Shape>& inputs) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fbs::CreateOp(builder, &op));
  const auto shape =
      infer_op_shape(*flatbuffers::GetRoot<fbs::Op>(builder.GetBufferPointer()), inputs);
  if (!shape.is_ok()) throw std::logic_error("ModelBuilder: " + shape.status().message());
  return *shape;
}

std::uint64_t append_floats(std::vector<std::byte>& segment, const std::vector<float>& values) {
  const std::uint64_t offset =
      (segment.size() + kViewAlignment - 1) / kViewAlignment * kViewAlignment;
  segment.resize(offset + values.size() * sizeof(float));
  std::memcpy(segment.data() + offset, values.data(), values.size() * sizeof(float));
  return offset;
}

std::unique_ptr<fbs::WeightViewT> view(std::uint64_t offset, std::size_t count) {
  auto result = std::make_unique<fbs::WeightViewT>();
  result->offset = offset;
  result->bytes = count * sizeof(float);
  return result;
}

fbs::ColorOrder default_order(std::uint32_t channels) {
  return channels == 3   ? fbs::ColorOrder::RGB
         : channels == 1 ? fbs::ColorOrder::Gray
                         : fbs::ColorOrder::None;
}

std::unique_ptr<fbs::TensorT> make_tensor(const fbs::Shape& shape) {
  auto tensor = std::make_unique<fbs::TensorT>();
  tensor->shape = std::make_unique<fbs::Shape>(shape);
  return tensor;
}

}  // namespace

ModelBuilder::ModelBuilder(fbs::Shape input, std::uint64_t seed) : random_state_(seed) {
  draft_.name = "test";
  draft_.source_format = "zoo";
  auto variant = std::make_unique<fbs::VariantT>();
  variant->name = "f32";
  variant->tensors.push_back(make_tensor(input));
  draft_.variants.push_back(std::move(variant));
  draft_.preprocessing = std::make_unique<fbs::PreprocessingT>();
  set_preprocessing(default_order(input.channels()), std::vector(input.channels(), 127.5f),
                    std::vector(input.channels(), 127.5f));
}

fbs::Shape ModelBuilder::shape(Tensor tensor) const {
  return *draft_.variants[0]->tensors.at(tensor)->shape;
}

// SplitMix64 (Steele, Lea, Flood 2014); 24 bits make a float that is exact everywhere.
std::vector<float> ModelBuilder::uniform(std::uint64_t count, float bound) {
  std::vector<float> values(count);
  for (float& value : values) {
    random_state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = random_state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    value = (static_cast<float>(z >> 40) * 0x1p-23f - 1.0f) * bound;
  }
  return values;
}

Tensor ModelBuilder::finish_op(fbs::OpT op) {
  std::vector<fbs::Shape> inputs;
  for (const Tensor tensor : op.inputs) inputs.push_back(shape(tensor));
  const fbs::Shape output = infer(op, inputs);
  op.output = static_cast<Tensor>(variant().tensors.size());
  op.name = "op" + std::to_string(variant().ops.size());
  variant().output = op.output;
  variant().tensors.push_back(make_tensor(output));
  variant().ops.push_back(std::make_unique<fbs::OpT>(std::move(op)));
  return variant().output;
}

Tensor ModelBuilder::append(fbs::OpOptionsUnion op_options, std::vector<Tensor> inputs) {
  fbs::OpT op;
  op.options = std::move(op_options);
  op.inputs = std::move(inputs);
  return finish_op(std::move(op));
}

Tensor ModelBuilder::append_weighted(fbs::OpOptionsUnion op_options, Tensor x,
                                     std::uint64_t kernel_elements, std::uint64_t fan_in,
                                     std::uint32_t outputs) {
  const std::vector<float> kernel =
      uniform(kernel_elements, std::sqrt(6.0f / static_cast<float>(fan_in)));
  const std::vector<float> bias = uniform(outputs, 0.1f);
  std::vector<std::byte> segment;
  fbs::OpT op;
  op.options = std::move(op_options);
  op.inputs = {x};
  op.segment = static_cast<std::int32_t>(segments_.size());
  op.kernel = view(append_floats(segment, kernel), kernel.size());
  op.bias = view(append_floats(segment, bias), bias.size());
  segments_.push_back(std::move(segment));
  return finish_op(std::move(op));
}

Tensor ModelBuilder::conv2d(Tensor x, std::uint32_t outputs, const WindowPadding& window,
                            std::uint32_t groups) {
  fbs::OpOptionsUnion conv = windowed<fbs::Conv2DT>(window);
  conv.AsConv2D()->groups = groups;
  const std::uint64_t fan_in = std::uint64_t{window.window.height()} * window.window.width() *
                               (shape(x).channels() / groups);
  return append_weighted(std::move(conv), x, outputs * fan_in, fan_in, outputs);
}

Tensor ModelBuilder::depthwise_conv2d(Tensor x, const WindowPadding& window,
                                      std::uint32_t multiplier) {
  fbs::OpOptionsUnion conv = windowed<fbs::DepthwiseConv2DT>(window);
  conv.AsDepthwiseConv2D()->multiplier = multiplier;
  const std::uint64_t fan_in = std::uint64_t{window.window.height()} * window.window.width();
  const std::uint32_t outputs = shape(x).channels() * multiplier;
  return append_weighted(std::move(conv), x, outputs * fan_in, fan_in, outputs);
}

Tensor ModelBuilder::fully_connected(Tensor x, std::uint32_t outputs) {
  const fbs::Shape in = shape(x);
  const std::uint64_t fan_in = std::uint64_t{in.height()} * in.width() * in.channels();
  return append_weighted(options(fbs::FullyConnectedT{}), x, outputs * fan_in, fan_in, outputs);
}

Tensor ModelBuilder::max_pool2d(Tensor x, const WindowPadding& window) {
  return append(windowed<fbs::MaxPool2DT>(window), {x});
}

Tensor ModelBuilder::average_pool2d(Tensor x, const WindowPadding& window) {
  return append(windowed<fbs::AveragePool2DT>(window), {x});
}

Tensor ModelBuilder::global_average_pool(Tensor x) {
  return append(options(fbs::GlobalAveragePoolT{}), {x});
}

Tensor ModelBuilder::clamp(Tensor x, float minimum, float maximum) {
  const Tensor output = append(options(fbs::ClampOnlyT{}), {x});
  clamp_last(minimum, maximum);
  return output;
}

Tensor ModelBuilder::leaky_relu(Tensor x, float negative_slope) {
  fbs::LeakyReluT value;
  value.negative_slope = negative_slope;
  return append(options(std::move(value)), {x});
}

Tensor ModelBuilder::hard_swish(Tensor x) { return append(options(fbs::HardSwishT{}), {x}); }
Tensor ModelBuilder::sigmoid(Tensor x) { return append(options(fbs::SigmoidT{}), {x}); }
Tensor ModelBuilder::add(Tensor a, Tensor b) { return append(options(fbs::AddT{}), {a, b}); }
Tensor ModelBuilder::multiply(Tensor a, Tensor b) {
  return append(options(fbs::MultiplyT{}), {a, b});
}
Tensor ModelBuilder::concat(const std::vector<Tensor>& inputs) {
  return append(options(fbs::ConcatT{}), inputs);
}
Tensor ModelBuilder::softmax(Tensor x) { return append(options(fbs::SoftmaxT{}), {x}); }

Tensor ModelBuilder::pad(Tensor x, const fbs::Padding& padding, float value) {
  fbs::PadT pad_options;
  pad_options.padding = std::make_unique<fbs::Padding>(padding);
  pad_options.value = value;
  return append(options(std::move(pad_options)), {x});
}

Tensor ModelBuilder::lrn(Tensor x, std::uint32_t size, float alpha, float beta, float bias) {
  fbs::LrnT value;
  value.size = size;
  value.alpha = alpha;
  value.beta = beta;
  value.bias = bias;
  return append(options(std::move(value)), {x});
}

void ModelBuilder::clamp_last(float minimum, float maximum) {
  variant().ops.back()->clamp = std::make_unique<fbs::Clamp>(minimum, maximum);
}

void ModelBuilder::drop_last_bias() { variant().ops.back()->bias.reset(); }

}  // namespace cleave::test
