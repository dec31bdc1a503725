// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/xnnpack_graph.h"

#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace cleave::bench {
namespace {

struct Range {
  float minimum = -std::numeric_limits<float>::infinity();
  float maximum = std::numeric_limits<float>::infinity();
};

Range clamp_of(const fbs::Op& op) {
  if (op.clamp() == nullptr) return {};
  return {op.clamp()->minimum(), op.clamp()->maximum()};
}

class Builder {
 public:
  explicit Builder(const ModelFile& model)
      : model_(model), variant_(*model.header().variants()->Get(0)) {}

  Result<XnnSubgraph> build();

 private:
  const fbs::Shape& shape(TensorId tensor) const {
    return *variant_.tensors()->Get(tensor)->shape();
  }
  const fbs::Shape& input_shape(const fbs::Op& op) const { return shape(op.inputs()->Get(0)); }
  std::uint32_t input(const fbs::Op& op, std::uint32_t i = 0) const {
    return values_[op.inputs()->Get(i)];
  }

  Status define_value(const std::vector<std::size_t>& dims, const void* data,
                      std::uint32_t external_id, std::uint32_t flags, std::uint32_t& id);
  Status define_tensor(TensorId tensor, bool is_vector);
  Status define_weights(const fbs::Op& op, const std::vector<std::size_t>& kernel_dims,
                        std::uint32_t& kernel, std::uint32_t& bias);
  Status define_op(const fbs::Op& op);
  Status define_clamped(const fbs::Op& op);
  Status define_conv2d(const fbs::Op& op);
  Status define_depthwise_conv2d(const fbs::Op& op);
  Status define_fully_connected(const fbs::Op& op);
  Status define_max_pool2d(const fbs::Op& op);
  Status define_average_pool2d(const fbs::Op& op);
  Status define_add(const fbs::Op& op);
  Status define_concat(const fbs::Op& op, std::uint32_t output);
  Status define_unclamped(const fbs::Op& op, std::uint32_t output);

  const ModelFile& model_;
  const fbs::Variant& variant_;
  XnnSubgraph subgraph_;
  std::vector<std::uint32_t> values_;  // by tensor
  std::vector<bool> is_vector_;        // by tensor: batch x channels
};

Status refuse(const fbs::Op& op, const std::string& what) {
  const std::string name = op.name() != nullptr ? op.name()->str() : std::string();
  return {StatusCode::kUnsupported, "the XNNPACK runtime is not given \"" + name + "\": " + what};
}

Status Builder::define_value(const std::vector<std::size_t>& dims, const void* data,
                             std::uint32_t external_id, std::uint32_t flags, std::uint32_t& id) {
  return to_status(xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32, dims.size(),
                                           dims.data(), data, external_id, flags, &id),
                   "value");
}

Status Builder::define_tensor(TensorId tensor, bool is_vector) {
  const fbs::Shape& s = shape(tensor);
  std::vector<std::size_t> dims{1, s.height(), s.width(), s.channels()};
  if (is_vector) dims = {1, s.channels()};
  is_vector_[tensor] = is_vector;
  std::uint32_t external_id = XNN_INVALID_VALUE_ID;
  std::uint32_t flags = 0;
  if (tensor == variant_.input()) {
    external_id = kXnnInputId;
    flags = XNN_VALUE_FLAG_EXTERNAL_INPUT;
  } else if (tensor == variant_.output()) {
    external_id = kXnnOutputId;
    flags = XNN_VALUE_FLAG_EXTERNAL_OUTPUT;
  }
  return define_value(dims, nullptr, external_id, flags, values_[tensor]);
}

Status Builder::define_weights(const fbs::Op& op, const std::vector<std::size_t>& kernel_dims,
                               std::uint32_t& kernel, std::uint32_t& bias) {
  bias = XNN_INVALID_VALUE_ID;
  if (op.kernel()->dtype() != fbs::DType::F32) return refuse(op, "its weights are not f32");
  CLEAVE_RETURN_IF_ERROR(define_value(kernel_dims, model_.weight_bytes(op, *op.kernel()).data(),
                                      XNN_INVALID_VALUE_ID, 0, kernel));
  if (op.bias() == nullptr) return Status::ok();
  return define_value({shape(op.output()).channels()}, model_.weight_bytes(op, *op.bias()).data(),
                      XNN_INVALID_VALUE_ID, 0, bias);
}

Status Builder::define_conv2d(const fbs::Op& op) {
  const fbs::Conv2D& conv = *op.options_as_Conv2D();
  const fbs::Window& w = *conv.window();
  const fbs::Padding& p = *conv.padding();
  const std::size_t inputs = input_shape(op).channels() / conv.groups();
  const std::size_t outputs = shape(op.output()).channels();
  std::uint32_t kernel, bias;
  CLEAVE_RETURN_IF_ERROR(
      define_weights(op, {outputs, w.height(), w.width(), inputs}, kernel, bias));
  const Range range = clamp_of(op);
  return to_status(
      xnn_define_convolution_2d(subgraph_.get(), p.top(), p.right(), p.bottom(), p.left(),
                                w.height(), w.width(), w.stride_height(), w.stride_width(),
                                w.dilation_height(), w.dilation_width(), conv.groups(), inputs,
                                outputs / conv.groups(), range.minimum, range.maximum, input(op),
                                kernel, bias, values_[op.output()], /*flags=*/0),
      "convolution");
}

Status Builder::define_depthwise_conv2d(const fbs::Op& op) {
  const fbs::DepthwiseConv2D& conv = *op.options_as_DepthwiseConv2D();
  const fbs::Window& w = *conv.window();
  const fbs::Padding& p = *conv.padding();
  std::uint32_t kernel, bias;
  CLEAVE_RETURN_IF_ERROR(
      define_weights(op, {1, w.height(), w.width(), shape(op.output()).channels()}, kernel, bias));
  const Range range = clamp_of(op);
  return to_status(
      xnn_define_depthwise_convolution_2d(
          subgraph_.get(), p.top(), p.right(), p.bottom(), p.left(), w.height(), w.width(),
          w.stride_height(), w.stride_width(), w.dilation_height(), w.dilation_width(),
          conv.multiplier(), input_shape(op).channels(), range.minimum, range.maximum, input(op),
          kernel, bias, values_[op.output()], /*flags=*/0),
      "depthwise convolution");
}

Status Builder::define_fully_connected(const fbs::Op& op) {
  std::uint32_t kernel, bias;
  CLEAVE_RETURN_IF_ERROR(define_weights(
      op, {shape(op.output()).channels(), element_count(input_shape(op))}, kernel, bias));
  const Range range = clamp_of(op);
  return to_status(
      xnn_define_fully_connected(subgraph_.get(), range.minimum, range.maximum, input(op), kernel,
                                 bias, values_[op.output()], XNN_FLAG_TENSORFLOW_RESHAPE_2D),
      "fully connected");
}

Status Builder::define_max_pool2d(const fbs::Op& op) {
  const fbs::Window& w = *op.options_as_MaxPool2D()->window();
  const fbs::Padding& p = *op.options_as_MaxPool2D()->padding();
  const Range range = clamp_of(op);
  return to_status(
      xnn_define_max_pooling_2d(subgraph_.get(), p.top(), p.right(), p.bottom(), p.left(),
                                w.height(), w.width(), w.stride_height(), w.stride_width(),
                                w.dilation_height(), w.dilation_width(), range.minimum,
                                range.maximum, input(op), values_[op.output()], /*flags=*/0),
      "max pool");
}

Status Builder::define_average_pool2d(const fbs::Op& op) {
  const fbs::Window& w = *op.options_as_AveragePool2D()->window();
  const fbs::Padding& p = *op.options_as_AveragePool2D()->padding();
  const Range range = clamp_of(op);
  return to_status(
      xnn_define_average_pooling_2d(subgraph_.get(), p.top(), p.right(), p.bottom(), p.left(),
                                    w.height(), w.width(), w.stride_height(), w.stride_width(),
                                    range.minimum, range.maximum, input(op), values_[op.output()],
                                    /*flags=*/0),
      "average pool");
}

Status Builder::define_add(const fbs::Op& op) {
  const Range range = clamp_of(op);
  const xnn_binary_params params{range.minimum, range.maximum};
  return to_status(xnn_define_binary(subgraph_.get(), xnn_binary_add, &params, input(op, 0),
                                     input(op, 1), values_[op.output()], /*flags=*/0),
                   "add");
}

// XNNPACK has one function for each number of inputs.
Status Builder::define_concat(const fbs::Op& op, std::uint32_t output) {
  const int axis = is_vector_[op.output()] ? 1 : 3;
  xnn_subgraph_t graph = subgraph_.get();
  xnn_status status = xnn_status_success;
  switch (op.inputs()->size()) {
    case 2:
      status = xnn_define_concatenate2(graph, axis, input(op, 0), input(op, 1), output, 0);
      break;
    case 3:
      status =
          xnn_define_concatenate3(graph, axis, input(op, 0), input(op, 1), input(op, 2), output, 0);
      break;
    case 4:
      status = xnn_define_concatenate4(graph, axis, input(op, 0), input(op, 1), input(op, 2),
                                       input(op, 3), output, 0);
      break;
    default:
      return refuse(op, std::to_string(op.inputs()->size()) + " inputs");
  }
  return to_status(status, "concat");
}

Status Builder::define_unclamped(const fbs::Op& op, std::uint32_t output) {
  switch (op.options_type()) {
    case fbs::OpOptions::GlobalAveragePool: {
      const std::array<std::size_t, 2> axes{1, 2};
      return to_status(xnn_define_static_reduce(subgraph_.get(), xnn_reduce_mean, axes.size(),
                                                axes.data(), input(op), output, XNN_FLAG_KEEP_DIMS),
                       "global average pool");
    }
    case fbs::OpOptions::Softmax:
      return to_status(xnn_define_softmax(subgraph_.get(), input(op), output, /*flags=*/0),
                       "softmax");
    case fbs::OpOptions::Concat:
      return define_concat(op, output);
    default:
      return refuse(op, fbs::EnumNameOpOptions(op.options_type()));
  }
}

// Of operators that XNNPACK does not clamp by itself.
Status Builder::define_clamped(const fbs::Op& op) {
  const bool is_clamp = op.options_type() == fbs::OpOptions::ClampOnly;
  std::uint32_t from = is_clamp ? input(op) : values_[op.output()];
  if (!is_clamp && op.clamp() != nullptr) {
    const fbs::Shape& s = shape(op.output());
    std::vector<std::size_t> dims{1, s.height(), s.width(), s.channels()};
    if (is_vector_[op.output()]) dims = {1, s.channels()};
    CLEAVE_RETURN_IF_ERROR(define_value(dims, nullptr, XNN_INVALID_VALUE_ID, 0, from));
  }
  if (!is_clamp) CLEAVE_RETURN_IF_ERROR(define_unclamped(op, from));
  if (op.clamp() == nullptr) return Status::ok();
  const Range range = clamp_of(op);
  const xnn_unary_params params{.clamp = {range.minimum, range.maximum}};
  return to_status(xnn_define_unary(subgraph_.get(), xnn_unary_clamp, &params, from,
                                    values_[op.output()], /*flags=*/0),
                   "clamp");
}

Status Builder::define_op(const fbs::Op& op) {
  const bool is_vector =
      op.options_type() == fbs::OpOptions::FullyConnected || is_vector_[op.inputs()->Get(0)];
  CLEAVE_RETURN_IF_ERROR(define_tensor(op.output(), is_vector));
  switch (op.options_type()) {
    case fbs::OpOptions::Conv2D:
      return define_conv2d(op);
    case fbs::OpOptions::DepthwiseConv2D:
      return define_depthwise_conv2d(op);
    case fbs::OpOptions::FullyConnected:
      return define_fully_connected(op);
    case fbs::OpOptions::MaxPool2D:
      return define_max_pool2d(op);
    case fbs::OpOptions::AveragePool2D:
      return define_average_pool2d(op);
    case fbs::OpOptions::Add:
      return define_add(op);
    default:
      return define_clamped(op);
  }
}

Result<XnnSubgraph> Builder::build() {
  constexpr std::uint32_t kExternalValues = 2;
  xnn_subgraph_t subgraph = nullptr;
  CLEAVE_RETURN_IF_ERROR(
      to_status(xnn_create_subgraph(kExternalValues, /*flags=*/0, &subgraph), "subgraph"));
  subgraph_.reset(subgraph);
  values_.assign(variant_.tensors()->size(), XNN_INVALID_VALUE_ID);
  is_vector_.assign(values_.size(), false);
  CLEAVE_RETURN_IF_ERROR(define_tensor(variant_.input(), /*is_vector=*/false));
  for (const fbs::Op* op : *variant_.ops()) CLEAVE_RETURN_IF_ERROR(define_op(*op));
  return std::move(subgraph_);
}

}  // namespace

Status to_status(xnn_status status, const std::string& what) {
  if (status == xnn_status_success) return Status::ok();
  const bool unsupported =
      status == xnn_status_unsupported_parameter || status == xnn_status_unsupported_hardware;
  return {unsupported ? StatusCode::kUnsupported : StatusCode::kInternal,
          "XNNPACK " + what + ": status " + std::to_string(status)};
}

Result<XnnSubgraph> build_xnn_subgraph(const ModelFile& model) { return Builder(model).build(); }

}  // namespace cleave::bench
