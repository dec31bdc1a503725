// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <utility>

#include "engine/importer/tf_same_padding.h"
#include "engine/importer/tflite_import.h"
#include "engine/importer/tflite_ops.h"

namespace cleave::importer {
namespace {

// Conv2DOptions and DepthwiseConv2DOptions have the same fields at different places.
template <typename Options>
Status read_window(const Options& options, const TfliteConstant& kernel, const Hwc& input,
                   Node& node) {
  CLEAVE_ASSIGN_OR_RETURN(node.window.height, window_extent(kernel.shape[1]));
  CLEAVE_ASSIGN_OR_RETURN(node.window.width, window_extent(kernel.shape[2]));
  CLEAVE_ASSIGN_OR_RETURN(node.window.stride_height, window_extent(options.stride_height()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.stride_width, window_extent(options.stride_width()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.dilation_height, window_extent(options.dilation_height()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.dilation_width, window_extent(options.dilation_width()));
  if (options.padding() == tflite::Padding::SAME) node.padding = same_padding(input, node.window);
  return Status::ok();
}

Result<TfliteConstant> read_kernel(TfliteImport& import, const TfliteOperator& op) {
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant kernel, import.constant(op.input(1)));
  if (kernel.shape.size() != 4 || kernel.values.empty()) {
    return Status(StatusCode::kCorrupt, "its kernel is not of four dimensions");
  }
  return kernel;
}

}  // namespace

Status import_conv_2d(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_Conv2DOptions();
  if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
  CLEAVE_ASSIGN_OR_RETURN(const ValueId input, import.nhwc_operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant kernel, read_kernel(import, op));

  Node node;
  node.kind = NodeKind::kConv2D;
  node.inputs = {input};
  const Hwc in = import.shape(input);
  CLEAVE_RETURN_IF_ERROR(read_window(*options, kernel, in, node));
  // The format does not name groups: a kernel of fewer input channels means them.
  if (in.channels % kernel.shape[3] != 0) {
    return {StatusCode::kCorrupt, "its kernel's channels do not divide the input's"};
  }
  node.groups = static_cast<std::uint32_t>(in.channels / kernel.shape[3]);
  node.kernel = std::move(kernel.values);  // O,H,W,I: as ours
  node.kernel_quantization = std::move(kernel.quantization);
  CLEAVE_RETURN_IF_ERROR(read_bias(import, op, node));
  return import.emit(op, std::move(node), options->activation());
}

Status import_depthwise_conv_2d(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_DepthwiseConv2DOptions();
  if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
  CLEAVE_ASSIGN_OR_RETURN(const ValueId input, import.nhwc_operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant kernel, read_kernel(import, op));

  Node node;
  node.kind = NodeKind::kDepthwiseConv2D;
  node.inputs = {input};
  const Hwc in = import.shape(input);
  CLEAVE_RETURN_IF_ERROR(read_window(*options, kernel, in, node));
  if (kernel.shape[0] != 1 || kernel.shape[3] % in.channels != 0) {
    return {StatusCode::kCorrupt, "its kernel's channels are no multiple of the input's"};
  }
  node.multiplier = static_cast<std::uint32_t>(kernel.shape[3] / in.channels);
  node.kernel = std::move(kernel.values);  // 1,H,W,O: as our H,W,O
  node.kernel_quantization = std::move(kernel.quantization);
  if (node.kernel_quantization.axis > 0) --node.kernel_quantization.axis;
  CLEAVE_RETURN_IF_ERROR(read_bias(import, op, node));
  return import.emit(op, std::move(node), options->activation());
}

}  // namespace cleave::importer
