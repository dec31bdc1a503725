// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <utility>

#include "engine/importer/tflite_import.h"

namespace cleave::importer {
namespace {

using tflite::Activation;
using tflite::BuiltinOperator;

Result<Activation> binary_activation(const TfliteOperator& op) {
  if (op.code == BuiltinOperator::ADD) {
    const auto* options = op.source->options_as_AddOptions();
    return options == nullptr ? Activation::NONE : options->activation();
  }
  const auto* options = op.source->options_as_MulOptions();
  return options == nullptr ? Activation::NONE : options->activation();
}

// A constant of one number, or one a channel ([C], [1,C], [1,1,1,C]), as one a channel.
Result<std::vector<float>> per_channel(TfliteConstant constant, const TfliteOperand& input,
                                       std::uint32_t channels) {
  if (constant.values.size() == 1) return std::vector<float>(channels, constant.values[0]);
  const bool channels_last =
      !input.view.dims.empty() && input.view.dims.back() == ViewDim{Axis::kChannel};
  if (!channels_last || constant.values.size() != channels || constant.shape.empty() ||
      constant.shape.back() != static_cast<std::int64_t>(channels)) {
    return Status(StatusCode::kUnsupported,
                  "a constant operand that is neither one number nor one a channel");
  }
  return std::move(constant.values);
}

Status import_with_constant(TfliteImport& import, const TfliteOperator& op, std::size_t variable,
                            Activation activation) {
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand input, import.operand(op, variable));
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant constant, import.constant(op.input(1 - variable)));
  const std::uint32_t channels = import.shape(input.value).channels;
  CLEAVE_ASSIGN_OR_RETURN(std::vector<float> values,
                          per_channel(std::move(constant), input, channels));
  Node node;
  node.kind = NodeKind::kAffine;
  node.inputs = {input.value};
  if (op.code == BuiltinOperator::ADD) {
    node.kernel.assign(channels, 1.0F);
    node.bias = std::move(values);
  } else {
    node.kernel = std::move(values);
  }
  return import.emit(op, std::move(node), activation, std::move(input.view));
}

// Per element, or one operand of 1 x 1 x channels spread over the other's picture.
Status import_with_variable(TfliteImport& import, const TfliteOperator& op, Activation activation) {
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand a, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand b, import.operand(op, 1));
  const bool broadcast = import.shape(a.value) != import.shape(b.value);
  const bool same_view = a.view == b.view;
  const bool both_nhwc =
      a.view == view_nhwc(import.shape(a.value)) && b.view == view_nhwc(import.shape(b.value));
  if (broadcast ? !both_nhwc : !same_view) {
    return {StatusCode::kUnsupported, "operands are laid out differently"};
  }
  const Hwc& second = import.shape(b.value);
  if (broadcast && (second.height != 1 || second.width != 1)) std::swap(a, b);
  Node node;
  node.kind = op.code == BuiltinOperator::ADD ? NodeKind::kAdd : NodeKind::kMultiply;
  node.inputs = {a.value, b.value};
  return import.emit(op, std::move(node), activation, std::move(a.view));
}

Status set_activation(const TfliteOperator& op, Node& node) {
  node.kind = NodeKind::kClamp;
  switch (op.code) {
    case BuiltinOperator::RELU:
      node.clamp_min = 0;
      return Status::ok();
    case BuiltinOperator::RELU6:
      node.clamp_min = 0;
      node.clamp_max = 6;
      return Status::ok();
    case BuiltinOperator::RELU_N1_TO_1:
      node.clamp_min = -1;
      node.clamp_max = 1;
      return Status::ok();
    case BuiltinOperator::HARD_SWISH:
      node.kind = NodeKind::kHardSwish;
      return Status::ok();
    case BuiltinOperator::LOGISTIC:
      node.kind = NodeKind::kSigmoid;
      return Status::ok();
    case BuiltinOperator::LEAKY_RELU: {
      const auto* options = op.source->options_as_LeakyReluOptions();
      if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
      node.kind = NodeKind::kLeakyRelu;
      node.alpha = options->alpha();
      return Status::ok();
    }
    default:
      return {StatusCode::kInternal, "is not an activation"};
  }
}

}  // namespace

Status import_binary(TfliteImport& import, const TfliteOperator& op) {
  if (op.input_count() != 2) return {StatusCode::kCorrupt, "does not have two operands"};
  CLEAVE_ASSIGN_OR_RETURN(const Activation activation, binary_activation(op));
  if (import.is_constant(op.input(1))) return import_with_constant(import, op, 0, activation);
  if (import.is_constant(op.input(0))) return import_with_constant(import, op, 1, activation);
  return import_with_variable(import, op, activation);
}

Status import_activation(TfliteImport& import, const TfliteOperator& op) {
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand input, import.operand(op, 0));
  Node node;
  node.inputs = {input.value};
  CLEAVE_RETURN_IF_ERROR(set_activation(op, node));
  return import.emit(op, std::move(node), Activation::NONE, std::move(input.view));
}

Status import_softmax(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_SoftmaxOptions();
  if (options == nullptr || options->beta() != 1.0F) {
    return {StatusCode::kUnsupported, "a softmax with beta other than 1"};
  }
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand input, import.operand(op, 0));
  const std::optional<std::size_t> dim =
      dim_of_axis(input.view, import.shape(input.value), Axis::kChannel);
  if (!dim || *dim + 1 != input.view.dims.size()) {
    return {StatusCode::kUnsupported, "a softmax over anything but channels"};
  }
  Node node;
  node.kind = NodeKind::kSoftmax;
  node.inputs = {input.value};
  return import.emit(op, std::move(node), Activation::NONE, std::move(input.view));
}

}  // namespace cleave::importer
