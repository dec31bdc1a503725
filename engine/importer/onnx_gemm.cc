// SPDX-License-Identifier: Apache-2.0
//
// Gemm and MatMul with constant weights: fully connected layers.
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

// The weight matrix as the source stores it: element (input i, output o) is
// floats[i * input_stride + o * output_stride].
struct Matrix {
  OnnxTensor tensor;
  std::size_t inputs = 0, outputs = 0, input_stride = 0, output_stride = 0;
};

Result<Matrix> read_matrix(const OnnxImport& import, const onnx::NodeProto& node, bool transposed) {
  Matrix matrix;
  CLEAVE_ASSIGN_OR_RETURN(matrix.tensor, import.constant(node, 1));
  const std::vector<std::int64_t>& dims = matrix.tensor.dims;
  if (dims.size() != 2) return onnx_unsupported("weights of shape " + dims_text(dims));
  if (!matrix.tensor.is_float || matrix.tensor.floats.empty()) {
    return onnx_corrupt("weights without float elements");
  }
  matrix.inputs = static_cast<std::size_t>(dims[transposed ? 1 : 0]);
  matrix.outputs = static_cast<std::size_t>(dims[transposed ? 0 : 1]);
  matrix.input_stride = transposed ? 1 : matrix.outputs;
  matrix.output_stride = transposed ? matrix.inputs : 1;
  return matrix;
}

// The node over dimension `dim` of x. The source counts inputs in the order of its own view; the
// kernel is stored in the order of height, width, channel.
Result<Node> make_fully_connected(const OnnxImport& import, const OnnxOperand& x, std::size_t dim,
                                  const Matrix& matrix, float alpha) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> order,
                          flatten_order(x.view, import.shape(x), dim));
  if (order.size() != matrix.inputs) {
    return onnx_corrupt("weights for " + std::to_string(matrix.inputs) + " inputs, but there are " +
                        std::to_string(order.size()));
  }
  Node fc = make_node(NodeKind::kFullyConnected, x);
  fc.kernel.resize(matrix.tensor.floats.size());
  for (std::size_t o = 0; o < matrix.outputs; ++o) {
    for (std::size_t i = 0; i < matrix.inputs; ++i) {
      fc.kernel[o * matrix.inputs + order[i]] =
          alpha * matrix.tensor.floats[i * matrix.input_stride + o * matrix.output_stride];
    }
  }
  return fc;
}

// Input 2 of Gemm, one value for all or one for each output, times beta.
Result<std::vector<float>> read_bias(const OnnxImport& import, const onnx::NodeProto& node,
                                     std::size_t outputs, float beta) {
  if (!import.has_input(node, 2)) return std::vector<float>{};
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor c, import.constant(node, 2));
  if (!c.is_float || c.dims.size() > 2) return onnx_corrupt("bias of shape " + dims_text(c.dims));
  const bool per_row = c.dims.size() == 2 && c.dims[0] != 1;
  if (per_row) return onnx_unsupported("a bias for each picture of the batch");
  if (c.floats.size() != 1 && c.floats.size() != outputs) {
    return onnx_corrupt("bias of shape " + dims_text(c.dims) + " for " + std::to_string(outputs) +
                        " outputs");
  }
  std::vector<float> bias(outputs, c.floats[0]);
  if (c.floats.size() == outputs) bias = c.floats;
  for (float& b : bias) b *= beta;
  return bias;
}

// The same dimensions as the input's view, the last being the outputs now.
LayoutView output_view(LayoutView view, std::size_t outputs) {
  ViewDim& last = view.dims.back();
  std::erase_if(last, [](Axis axis) { return axis != Axis::kBatch; });
  if (outputs != 1) last.push_back(Axis::kChannel);
  return view;
}

}  // namespace

Status import_gemm(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxAttributes attributes(node);
  const bool transposed_x = attributes.integer("transA", 0) != 0;
  const bool transposed_weights = attributes.integer("transB", 0) != 0;
  const float alpha = attributes.number("alpha", 1.0f);
  const float beta = attributes.number("beta", 1.0f);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (transposed_x) return onnx_unsupported("transA");
  if (x.view.dims.size() != 2) return onnx_unsupported("its input does not have two dimensions");
  CLEAVE_ASSIGN_OR_RETURN(const Matrix matrix, read_matrix(import, node, transposed_weights));
  CLEAVE_ASSIGN_OR_RETURN(Node fc, make_fully_connected(import, x, 1, matrix, alpha));
  CLEAVE_ASSIGN_OR_RETURN(fc.bias, read_bias(import, node, matrix.outputs, beta));
  return import.emit(node, std::move(fc), output_view(x.view, matrix.outputs));
}

Status import_matmul(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  if (x.view.dims.empty()) return onnx_corrupt("its input is a scalar");
  CLEAVE_ASSIGN_OR_RETURN(const Matrix matrix, read_matrix(import, node, false));
  CLEAVE_ASSIGN_OR_RETURN(Node fc,
                          make_fully_connected(import, x, x.view.dims.size() - 1, matrix, 1.0f));
  return import.emit(node, std::move(fc), output_view(x.view, matrix.outputs));
}

}  // namespace cleave::importer
