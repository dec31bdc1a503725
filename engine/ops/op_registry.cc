// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_registry.h"

#include <string>

#include "engine/ops/clamped_op.h"
#include "engine/ops/convolution.h"
#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/int8_im2col_conv2d.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/winograd_conv2d.h"
#include "engine/ops/winograd_weights.h"
#include "engine/weights.h"

namespace cleave::ops {
namespace {

struct Factory {
  OpResult (*create)(const OpSpec&) = nullptr;
  bool applies_clamp = false;
};

Factory find_factory(fbs::OpOptions kind) {
  switch (kind) {
    case fbs::OpOptions::Conv2D:
      return {create_conv2d, true};
    case fbs::OpOptions::DepthwiseConv2D:
      return {create_depthwise_conv2d, true};
    case fbs::OpOptions::FullyConnected:
      return {create_fully_connected, true};
    case fbs::OpOptions::MaxPool2D:
      return {create_max_pool2d, true};
    case fbs::OpOptions::AveragePool2D:
      return {create_average_pool2d, true};
    case fbs::OpOptions::GlobalAveragePool:
      return {create_global_average_pool};
    case fbs::OpOptions::ClampOnly:
      return {create_clamp, true};
    case fbs::OpOptions::LeakyRelu:
      return {create_leaky_relu};
    case fbs::OpOptions::HardSwish:
      return {create_hard_swish};
    case fbs::OpOptions::Sigmoid:
      return {create_sigmoid};
    case fbs::OpOptions::Add:
      return {create_add};
    case fbs::OpOptions::Multiply:
      return {create_multiply};
    case fbs::OpOptions::Concat:
      return {create_concat};
    case fbs::OpOptions::Pad:
      return {create_pad};
    case fbs::OpOptions::Lrn:
      return {create_lrn};
    case fbs::OpOptions::Softmax:
      return {create_softmax};
    case fbs::OpOptions::Convert:
      return {create_convert};
    case fbs::OpOptions::NONE:
      break;
  }
  return {};
}

std::string describe(const fbs::Op& op) {
  const std::string kind = fbs::EnumNameOpOptions(op.options_type());
  return op.name() == nullptr ? kind : kind + " " + op.name()->str();
}

OpResult create_unnamed(const OpSpec& spec) {
  const Factory factory = find_factory(spec.op->options_type());
  if (factory.create == nullptr) {
    return Status{StatusCode::kUnsupported, "an operator that this build does not know"};
  }
  if (factory.applies_clamp || !spec.clamp.clamps()) return factory.create(spec);
  CLEAVE_ASSIGN_OR_RETURN(std::unique_ptr<Op> inner, factory.create(spec));
  return add_clamp(std::move(inner), spec);
}

std::vector<float> kernel_scales(const fbs::Op& op, std::size_t outputs) {
  if (op.kernel() == nullptr || op.kernel()->dtype() != fbs::DType::S8) return {};
  const auto& scales = *op.kernel()->quantization()->scale();
  if (scales.size() == 1) return std::vector<float>(outputs, scales.Get(0));
  return {scales.begin(), scales.end()};
}

const fbs::Window* pool_window(const fbs::Op& op) {
  if (const auto* pool = op.options_as_MaxPool2D()) return pool->window();
  if (const auto* pool = op.options_as_AveragePool2D()) return pool->window();
  return nullptr;
}

// Whether XNNPACK computes this convolution.
bool is_xnnpack_convolution(const OpSpec& spec) {
  const fbs::OpOptions kind = spec.op->options_type();
  if (kind != fbs::OpOptions::Conv2D && kind != fbs::OpOptions::DepthwiseConv2D) return false;
  const kernels::KernelTable& table = kernels::active_kernels();
  return !winograd_pays(spec, table) && !int8_im2col_pays(spec, table) &&
         !int8_depthwise_pays(spec, table);
}

}  // namespace

std::uint64_t weight_ram_bytes(const OpSpec& spec) {
  const fbs::OpOptions kind = spec.op->options_type();
  const kernels::KernelTable& table = kernels::active_kernels();
  if (winograd_pays(spec, table)) return winograd_weight_bytes(spec, table.gemm_columns);
  if (int8_im2col_pays(spec, table)) return int8_im2col_weight_bytes(spec, table);
  if (int8_depthwise_pays(spec, table)) return int8_depthwise_weight_bytes(spec);
  std::uint64_t bytes = weight_bytes(*spec.op);
  if (kind == fbs::OpOptions::FullyConnected) return bytes;
  // XNNPACK packs f16 as f32, and int8 with the scale of each channel.
  if (spec.kernel_dtype == fbs::DType::F16) bytes += spec.op->kernel()->bytes();
  return bytes + spec.kernel_scales.size() * sizeof(float);
}

std::uint64_t operator_bytes(const OpSpec& spec) {
  constexpr std::uint64_t kOperatorBytes = 2560;
  if (const fbs::Window* window = pool_window(*spec.op)) {
    return kOperatorBytes + std::uint64_t{sizeof(void*)} * window->height() * window->width() *
                                spec.output.height() * spec.output.width();
  }
  if (!is_xnnpack_convolution(spec)) return kOperatorBytes;
  return kOperatorBytes + kept_pointer_bytes(spec, convolution_shape(spec));
}

// XNNPACK computes groups of one channel in and out the depthwise way, whatever the model calls
// them.
bool is_packed_once(const OpSpec& spec) {
  const fbs::OpOptions kind = spec.op->options_type();
  if (spec.op->segment() < 0) return false;
  const kernels::KernelTable& table = kernels::active_kernels();
  if (int8_depthwise_pays(spec, table) || int8_im2col_pays(spec, table)) return true;
  if (kind == fbs::OpOptions::DepthwiseConv2D) {
    return spec.op->options_as_DepthwiseConv2D()->multiplier() > 1;
  }
  if (kind != fbs::OpOptions::Conv2D) return false;
  const std::uint32_t groups = spec.op->options_as_Conv2D()->groups();
  return groups != spec.inputs[0].channels() || groups != spec.output.channels();
}

OpSpec make_op_spec(const fbs::Variant& variant, OpIndex index, Preference preference) {
  const fbs::Op& op = *variant.ops()->Get(index);
  OpSpec spec;
  spec.op = &op;
  spec.preference = preference;
  spec.inputs.reserve(op.inputs()->size());
  spec.input_types.reserve(op.inputs()->size());
  for (const TensorId input : *op.inputs()) {
    spec.inputs.push_back(*variant.tensors()->Get(input)->shape());
    spec.input_types.push_back(tensor_type(*variant.tensors()->Get(input)));
  }
  spec.output = *variant.tensors()->Get(op.output())->shape();
  spec.output_type = tensor_type(*variant.tensors()->Get(op.output()));
  if (op.kernel() != nullptr) spec.kernel_dtype = op.kernel()->dtype();
  spec.kernel_scales = kernel_scales(op, spec.output.channels());
  if (op.clamp() != nullptr) spec.clamp = {op.clamp()->minimum(), op.clamp()->maximum()};
  return spec;
}

OpResult create_op(const OpSpec& spec) {
  OpResult result = create_unnamed(spec);
  if (!result.is_ok()) return result.status().with_context(describe(*spec.op));
  return result;
}

}  // namespace cleave::ops
