// SPDX-License-Identifier: Apache-2.0
//
// Convolutions on kernels of our own, beside XNNPACK's operator for the same layer.
#include "engine/ops/convolution.h"
#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/int8_im2col_conv2d.h"
#include "engine/ops/op_registry.h"
#include "engine/ops/winograd_conv2d.h"
#include "tests/bench/kernel_bench.h"
#include "tests/support/model_builder.h"

namespace cleave::bench {
namespace {

using test::ModelBuilder;
using test::Tensor;
using test::WindowSpec;

// A way of ours to compute a convolution.
struct Form {
  const char* name;
  bool (*pays)(const ops::OpSpec&, const kernels::KernelTable&);
  ops::OpResult (*create)(const ops::OpSpec&, const kernels::KernelTable&);
};
constexpr Form kWinograd{"winograd", ops::winograd_pays, ops::create_winograd_conv2d};
constexpr Form kIm2col{"im2col", ops::int8_im2col_pays, ops::create_int8_im2col_conv2d};
constexpr Form kDepthwise{"depthwise", ops::int8_depthwise_pays, ops::create_int8_depthwise_conv2d};

struct ConvCase {
  const Form& form;
  fbs::DType dtype;
  fbs::Shape input;
  std::uint32_t outputs;
  WindowSpec window;

  [[nodiscard]] bool on_int8() const { return dtype == fbs::DType::S8; }
  [[nodiscard]] bool is_depthwise() const { return &form == &kDepthwise; }
};

constexpr auto kF32 = fbs::DType::F32;
constexpr auto kS8 = fbs::DType::S8;

// Layers of VGG-16, AlexNet and MobileNetV2.
const ConvCase kCases[] = {
    {kWinograd, kF32, {224, 224, 64}, 64, {.window = 3, .pad = 1}},
    {kWinograd, kF32, {56, 56, 256}, 256, {.window = 3, .pad = 1}},
    {kWinograd, kF32, {14, 14, 512}, 512, {.window = 3, .pad = 1}},
    {kWinograd, kF32, {13, 13, 384}, 256, {.window = 3, .pad = 1}},
    {kWinograd, kF32, {13, 13, 64}, 256, {.window = 3, .pad = 1}},
    {kWinograd, kF32, {27, 27, 64}, 192, {.window = 5, .pad = 2}},
    {kWinograd, kS8, {224, 224, 64}, 64, {.window = 3, .pad = 1}},
    {kWinograd, kS8, {56, 56, 256}, 256, {.window = 3, .pad = 1}},
    {kWinograd, kS8, {14, 14, 512}, 512, {.window = 3, .pad = 1}},
    {kWinograd, kS8, {13, 13, 64}, 256, {.window = 3, .pad = 1}},
    {kWinograd, kS8, {27, 27, 64}, 192, {.window = 5, .pad = 2}},
    {kIm2col, kS8, {224, 224, 3}, 32, {.window = 3, .stride = 2, .pad = 1}},
    {kIm2col, kS8, {224, 224, 3}, 64, {.window = 11, .stride = 4, .pad = 2}},
    {kDepthwise, kS8, {112, 112, 96}, 96, {.window = 3, .stride = 2, .pad = 1}},
    {kDepthwise, kS8, {28, 28, 192}, 192, {.window = 3, .pad = 1}},
};

std::string kernel_name(const ConvCase& layer) {
  const std::string side = std::to_string(layer.window.window);
  return std::string(layer.form.name) + " " + side + "x" + side +
         (layer.on_int8() ? " int8" : " f32");
}

std::string layer_name(const ConvCase& layer) {
  return std::to_string(layer.input.height()) + "x" + std::to_string(layer.input.width()) + "x" +
         std::to_string(layer.input.channels()) + " to " + std::to_string(layer.outputs);
}

std::shared_ptr<const ModelFile> model_of(const ConvCase& layer) {
  ModelBuilder builder(layer.input);
  Tensor x = builder.input();
  if (layer.on_int8()) x = builder.to_int8(x, 0.02F, -5);
  x = layer.is_depthwise() ? builder.depthwise_conv2d(x, layer.window)
                           : builder.conv2d(x, layer.outputs, layer.window);
  if (layer.on_int8()) {
    builder.int8_last(0.05F, 3);
    builder.to_f32(x);
  }
  return value_of(ModelFile::from_bytes(builder.build()));
}

ops::OpResult create_xnnpack(const ops::OpSpec& spec) {
  if (const fbs::DepthwiseConv2D* conv = spec.op->options_as_DepthwiseConv2D()) {
    return ops::create_convolution(spec, {.window = conv->window(),
                                          .padding = conv->padding(),
                                          .groups = spec.inputs[0].channels(),
                                          .group_inputs = 1,
                                          .group_outputs = 1,
                                          .depthwise_kernel = true});
  }
  const fbs::Conv2D& conv = *spec.op->options_as_Conv2D();
  return ops::create_convolution(spec, {.window = conv.window(),
                                        .padding = conv.padding(),
                                        .group_inputs = spec.inputs[0].channels(),
                                        .group_outputs = spec.output.channels()});
}

void bench_case(const ConvCase& layer, const KernelRuns& how) {
  const auto model = model_of(layer);
  const OpIndex index = layer.on_int8() ? 1 : 0;
  const kernels::KernelTable& table = kernels::active_kernels();
  const ops::OpSpec spec =
      ops::make_op_spec(*model->header().variants()->Get(0), index, Preference::kSpeed);
  if (!layer.form.pays(spec, table)) {
    std::printf("%-26s %-28s no kernel of ours for %s\n", kernel_name(layer).c_str(),
                layer_name(layer).c_str(), table.name);
    return;
  }
  const auto create = [&](const ops::OpSpec& s) { return layer.form.create(s, table); };
  const Layer ours(model, index, create, how.pool);
  const Layer xnnpack(model, index, create_xnnpack, how.pool);
  const double taps = layer.window.window * layer.window.window;
  const double multiply_adds = static_cast<double>(element_count(spec.output)) * taps *
                               (layer.is_depthwise() ? 1.0 : layer.input.channels());
  compare({.kernel = kernel_name(layer),
           .layer = layer_name(layer),
           .ours = [&] { ours.run(); },
           .other = "XNNPACK",
           .others = [&] { xnnpack.run(); },
           .work = 2 * multiply_adds,
           .unit = "GOP/s"},
          how.runs, how.threads);
}

}  // namespace

void bench_convolutions(const KernelRuns& how) {
  for (const ConvCase& layer : kCases) bench_case(layer, how);
}

}  // namespace cleave::bench
