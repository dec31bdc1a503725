// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/onnx_ops.h"
#include "engine/importer/onnx_window.h"

namespace cleave::importer {
namespace {

// Extents of the source's kernel [output][input / groups][height][width].
struct KernelExtents {
  std::size_t outputs, inputs, height, width;
};

// To [output][height][width][input / groups].
std::vector<float> to_ohwi(const std::vector<float>& oihw, const KernelExtents& k) {
  std::vector<float> ohwi(oihw.size());
  const std::size_t taps = k.height * k.width;
  for (std::size_t o = 0; o < k.outputs; ++o) {
    for (std::size_t i = 0; i < k.inputs; ++i) {
      for (std::size_t t = 0; t < taps; ++t) {
        ohwi[(o * taps + t) * k.inputs + i] = oihw[(o * k.inputs + i) * taps + t];
      }
    }
  }
  return ohwi;
}

// [output][1][height][width] to [height][width][output].
std::vector<float> to_hwo(const std::vector<float>& oihw, const KernelExtents& k) {
  std::vector<float> hwo(oihw.size());
  const std::size_t taps = k.height * k.width;
  for (std::size_t o = 0; o < k.outputs; ++o) {
    for (std::size_t t = 0; t < taps; ++t) hwo[t * k.outputs + o] = oihw[o * taps + t];
  }
  return hwo;
}

Status check_kernel(const OnnxTensor& kernel, std::int64_t groups, const Hwc& input) {
  const std::vector<std::int64_t>& dims = kernel.dims;
  if (!kernel.is_float) return onnx_unsupported("the kernel is not of floats");
  if (dims.size() != 4) {
    return onnx_unsupported("the kernel has " + std::to_string(dims.size()) +
                            " dimensions; only 2-D convolution is imported");
  }
  if (kernel.floats.empty() || groups < 1 || groups > input.channels || dims[0] % groups != 0 ||
      dims[1] * groups != input.channels) {
    return onnx_corrupt("kernel " + dims_text(dims) + " and " + std::to_string(groups) +
                        " groups do not fit " + std::to_string(input.channels) + " input channels");
  }
  return Status::ok();
}

}  // namespace

Status import_conv(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.image(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor kernel, import.constant(node, 1));
  const Hwc& input = import.shape(x);
  OnnxAttributes attributes(node);
  const std::int64_t groups = attributes.integer("group", 1);
  CLEAVE_RETURN_IF_ERROR(check_kernel(kernel, groups, input));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxWindow window,
                          read_onnx_window(attributes, input, {kernel.dims[2], kernel.dims[3]}));

  const KernelExtents extents{
      static_cast<std::size_t>(kernel.dims[0]), static_cast<std::size_t>(kernel.dims[1]),
      static_cast<std::size_t>(kernel.dims[2]), static_cast<std::size_t>(kernel.dims[3])};
  const bool depthwise = groups > 1 && kernel.dims[1] == 1;
  Node conv = make_node(depthwise ? NodeKind::kDepthwiseConv2D : NodeKind::kConv2D, x);
  conv.window = window.window;
  conv.padding = window.padding;
  if (depthwise) {
    conv.multiplier = static_cast<std::uint32_t>(kernel.dims[0] / groups);
    conv.kernel = to_hwo(kernel.floats, extents);
  } else {
    conv.groups = static_cast<std::uint32_t>(groups);
    conv.kernel = to_ohwi(kernel.floats, extents);
  }
  if (import.has_input(node, 2)) {
    CLEAVE_ASSIGN_OR_RETURN(conv.bias, import.constant_floats(node, 2));
    if (conv.bias.size() != extents.outputs) {
      return onnx_corrupt("the bias does not have one element per output channel");
    }
  }
  return import.emit_image(node, std::move(conv));
}

}  // namespace cleave::importer
