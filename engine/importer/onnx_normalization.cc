// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_channels.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

// scale, bias, mean and variance: inputs 1 to 4, one value per channel each.
struct BatchNormInputs {
  std::vector<float> scale, bias, mean, variance;
};

Result<BatchNormInputs> read_batch_norm(const OnnxImport& import, const onnx::NodeProto& node,
                                        const OnnxOperand& x) {
  BatchNormInputs inputs;
  std::vector<float>* const fields[] = {&inputs.scale, &inputs.bias, &inputs.mean,
                                        &inputs.variance};
  for (int i = 0; i < 4; ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> values, import.constant_floats(node, i + 1));
    CLEAVE_ASSIGN_OR_RETURN(*fields[i], spread_over_channels(import, x, 1, values));
  }
  return inputs;
}

}  // namespace

Status import_batch_normalization(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxAttributes attributes(node);
  const double epsilon = attributes.number("epsilon", 1e-5f);
  const bool training = attributes.integer("training_mode", 0) != 0;
  const bool spatial = attributes.integer("spatial", 1) != 0;
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (training) return onnx_unsupported("batch normalization in training mode");
  if (!spatial) return onnx_unsupported("batch normalization per activation");
  CLEAVE_ASSIGN_OR_RETURN(const BatchNormInputs inputs, read_batch_norm(import, node, x));

  Node affine = make_node(NodeKind::kAffine, x);
  for (std::size_t c = 0; c < inputs.scale.size(); ++c) {
    const double factor = inputs.scale[c] / std::sqrt(inputs.variance[c] + epsilon);
    if (!std::isfinite(factor)) return onnx_corrupt("a variance that is not positive");
    affine.kernel.push_back(static_cast<float>(factor));
    affine.bias.push_back(static_cast<float>(inputs.bias[c] - inputs.mean[c] * factor));
  }
  return import.emit(node, std::move(affine), x.view);
}

Status import_lrn(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.image(node, 0));
  OnnxAttributes attributes(node);
  Node lrn = make_node(NodeKind::kLrn, x);
  const std::int64_t size = attributes.integer("size", 0);
  lrn.alpha = attributes.number("alpha", 1e-4f);
  lrn.beta = attributes.number("beta", 0.75f);
  lrn.bias_k = attributes.number("bias", 1.0f);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (size < 1 || size > std::numeric_limits<std::int32_t>::max()) {
    return onnx_corrupt("LRN over " + std::to_string(size) + " channels");
  }
  lrn.size = static_cast<std::uint32_t>(size);
  return import.emit_image(node, std::move(lrn));
}

}  // namespace cleave::importer
