// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "engine/importer/tflite_import.h"
#include "engine/importer/tflite_ops.h"

namespace cleave::importer {
namespace {

// Columns of a [output][input] matrix, put where our order of the input has them.
std::vector<float> reorder_columns(const std::vector<float>& matrix,
                                   const std::vector<std::uint32_t>& order) {
  std::vector<float> result(matrix.size());
  const std::size_t columns = order.size();
  for (std::size_t row = 0; row < matrix.size() / columns; ++row) {
    for (std::size_t i = 0; i < columns; ++i) {
      result[row * columns + order[i]] = matrix[row * columns + i];
    }
  }
  return result;
}

bool is_identity(const std::vector<std::uint32_t>& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != i) return false;
  }
  return true;
}

// All of the input as one vector, in the order in which the file's weights see it.
Result<std::vector<std::uint32_t>> input_order(const TfliteImport& import,
                                               const TfliteOperand& input, std::int64_t columns) {
  const Hwc& in = import.shape(input.value);
  if (std::uint64_t{in.height} * in.width * in.channels != static_cast<std::uint64_t>(columns)) {
    return Status(StatusCode::kUnsupported,
                  "works on slices of " + std::to_string(columns) + " of its input");
  }
  CLEAVE_ASSIGN_OR_RETURN(const LayoutView flat,
                          reshape_view(input.view, in, std::array<std::int64_t, 2>{1, -1}));
  return flatten_order(flat, in, 1);
}

}  // namespace

Status read_bias(TfliteImport& import, const TfliteOperator& op, Node& node) {
  const int index = op.input(2);
  if (index < 0) return Status::ok();
  QuantizationParameters derived;
  CLEAVE_ASSIGN_OR_RETURN(const QuantizationParameters input, import.quantization(op.input(0)));
  if (input.scale.size() == 1 && !node.kernel_quantization.empty()) {
    derived = node.kernel_quantization;
    derived.type = QuantizationParameters::Type::kS32;
    derived.axis = derived.scale.size() > 1 ? 0 : -1;
    for (float& scale : derived.scale) scale *= input.scale[0];
    std::fill(derived.zero_point.begin(), derived.zero_point.end(), 0);
  }
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant bias, import.constant(index, derived));
  node.bias = std::move(bias.values);
  node.bias_quantization = std::move(bias.quantization);
  return Status::ok();
}

Status import_fully_connected(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_FullyConnectedOptions();
  if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
  if (options->weights_format() != 0) return {StatusCode::kUnsupported, "shuffled weights"};
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(TfliteConstant kernel, import.constant(op.input(1)));
  if (kernel.shape.size() != 2 || kernel.values.empty()) {
    return {StatusCode::kCorrupt, "its weights are not a matrix"};
  }
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> order,
                          input_order(import, input, kernel.shape[1]));
  Node node;
  node.kind = NodeKind::kFullyConnected;
  node.inputs = {input.value};
  node.kernel =
      is_identity(order) ? std::move(kernel.values) : reorder_columns(kernel.values, order);
  node.kernel_quantization = std::move(kernel.quantization);
  CLEAVE_RETURN_IF_ERROR(read_bias(import, op, node));

  // [1, outputs], or with more dimensions of extent 1 before it when the file keeps their number.
  const Hwc out{1, 1, static_cast<std::uint32_t>(kernel.shape[0])};
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view,
                          reshape_view(view_nhwc(out), out, import.tensor_shape(op.output(0))));
  return import.emit(op, std::move(node), options->activation(), std::move(view));
}

}  // namespace cleave::importer
