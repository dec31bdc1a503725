// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

constexpr std::int64_t kMaxPad = 1 << 20;

struct PadArguments {
  std::vector<std::int64_t> pads;  // before each dimension, then after each dimension
  float value = 0;
};

// Attributes until opset 10, inputs from opset 11.
Result<PadArguments> read_pad(const OnnxImport& import, const onnx::NodeProto& node,
                              OnnxAttributes& attributes) {
  PadArguments arguments;
  if (import.opset < 11) {
    arguments.pads = attributes.integers("pads", {});
    arguments.value = attributes.number("value", 0);
    CLEAVE_RETURN_IF_ERROR(attributes.status());
    return arguments;
  }
  CLEAVE_ASSIGN_OR_RETURN(arguments.pads, import.constant_ints(node, 1));
  if (import.has_input(node, 2)) {
    CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> value, import.constant_floats(node, 2));
    if (value.size() != 1) return onnx_corrupt("a padding value that is no scalar");
    arguments.value = value[0];
  }
  return arguments;
}

// Where height and width stand in the view.
Result<std::pair<std::size_t, std::size_t>> image_dims(const LayoutView& view, const Hwc& shape) {
  if (view == view_nchw(shape)) return std::pair<std::size_t, std::size_t>{2, 3};
  if (view == view_nhwc(shape)) return std::pair<std::size_t, std::size_t>{1, 2};
  return onnx_unsupported("its input is not an image");
}

}  // namespace

Status import_pad(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxAttributes attributes(node);
  const std::string mode = attributes.text("mode", "constant");
  CLEAVE_ASSIGN_OR_RETURN(const PadArguments arguments, read_pad(import, node, attributes));
  const std::size_t rank = x.view.dims.size();
  const std::vector<std::int64_t>& pads = arguments.pads;
  if (pads.size() != 2 * rank) return onnx_corrupt("pads does not have two entries a dimension");
  if (std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; })) {
    return import.emit_marker(node, x, x.view);
  }
  if (mode != "constant") return onnx_unsupported("padding mode \"" + mode + "\"");

  CLEAVE_ASSIGN_OR_RETURN(const auto dims, image_dims(x.view, import.shape(x)));
  const auto [height, width] = dims;
  for (std::size_t i = 0; i < pads.size(); ++i) {
    const std::size_t dim = i % rank;
    if (pads[i] < 0 || (pads[i] != 0 && dim != height && dim != width)) {
      return onnx_unsupported("negative padding, or padding of batch or channels");
    }
    if (pads[i] > kMaxPad) return onnx_corrupt("padding out of range");
  }
  const auto narrow = [&](std::size_t i) { return static_cast<std::uint32_t>(pads[i]); };
  Node pad = make_node(NodeKind::kPad, x);
  pad.padding = {narrow(height), narrow(rank + width), narrow(rank + height), narrow(width)};
  pad.pad_value = arguments.value;
  const bool channels_last = height == 1;
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, infer_shape(import.graph, pad));
  return import.emit(node, std::move(pad), channels_last ? view_nhwc(out) : view_nchw(out));
}

}  // namespace cleave::importer
