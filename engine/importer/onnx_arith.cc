// SPDX-License-Identifier: Apache-2.0
//
// Add, Sub, Mul and Div of two tensors, or of a tensor and a constant.
#include <utility>

#include "engine/importer/onnx_channels.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

// Which dimension of b's view stands against dimension d of a's; nullptr beyond b's first.
const ViewDim* aligned(const LayoutView& a, const LayoutView& b, std::size_t d) {
  const std::size_t missing = a.dims.size() - b.dims.size();
  return d < missing ? nullptr : &b.dims[d - missing];
}

// True when the source's broadcast of b against a is ours: equal, or b is 1 x 1 x channels.
bool broadcasts_into(const OnnxImport& import, const OnnxOperand& a, const OnnxOperand& b) {
  const Hwc& full = import.shape(a);
  if (b.view.dims.size() > a.view.dims.size()) return false;
  if (b.view.channel_groups != a.view.channel_groups) return false;
  if (import.shape(b) != full && import.shape(b) != Hwc{1, 1, full.channels}) return false;
  for (std::size_t d = 0; d < a.view.dims.size(); ++d) {
    const ViewDim* other = aligned(a.view, b.view, d);
    if (other != nullptr && *other != a.view.dims[d] && !other->empty()) return false;
    const bool batch_lost = import.batch > 1 && a.view.dims[d] == ViewDim{Axis::kBatch} &&
                            (other == nullptr || other->empty());
    if (batch_lost) return false;
  }
  return true;
}

// Both kinds give the same bits whichever input comes first.
Status emit_commutative(OnnxImport& import, const onnx::NodeProto& node, NodeKind kind) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand a, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand b, import.operand(node, 1));
  if (!broadcasts_into(import, a, b)) std::swap(a, b);
  if (!broadcasts_into(import, a, b)) {
    return onnx_unsupported("shapes that broadcast otherwise than a vector over height and width");
  }
  Node binary = make_node(kind, a);
  binary.inputs.push_back(b.value);
  return import.emit(node, std::move(binary), a.view);
}

// y = x * factor(c) + shift(c), with the constant's values c spread over the channels.
template <typename Factor, typename Shift>
Status emit_affine(OnnxImport& import, const onnx::NodeProto& node, int constant_index,
                   Factor factor, Shift shift) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 1 - constant_index));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor constant, import.constant(node, constant_index));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> values,
                          broadcast_to_channels(import, x, constant));
  Node affine = make_node(NodeKind::kAffine, x);
  for (const float c : values) {
    affine.kernel.push_back(factor(c));
    affine.bias.push_back(shift(c));
  }
  return import.emit(node, std::move(affine), x.view);
}

constexpr auto kOne = [](float) { return 1.0f; };
constexpr auto kMinusOne = [](float) { return -1.0f; };
constexpr auto kZero = [](float) { return 0.0f; };
constexpr auto kItself = [](float c) { return c; };
constexpr auto kNegated = [](float c) { return -c; };
constexpr auto kInverse = [](float c) { return 1.0f / c; };

int constant_index(const OnnxImport& import, const onnx::NodeProto& node) {
  return import.is_constant(node, 0) ? 0 : 1;
}

}  // namespace

Status import_add(OnnxImport& import, const onnx::NodeProto& node) {
  const int index = constant_index(import, node);
  if (!import.is_constant(node, index)) return emit_commutative(import, node, NodeKind::kAdd);
  return emit_affine(import, node, index, kOne, kItself);
}

Status import_subtract(OnnxImport& import, const onnx::NodeProto& node) {
  const int index = constant_index(import, node);
  if (!import.is_constant(node, index)) return onnx_unsupported("of two computed tensors");
  if (index == 0) return emit_affine(import, node, index, kMinusOne, kItself);
  return emit_affine(import, node, index, kOne, kNegated);
}

Status import_multiply(OnnxImport& import, const onnx::NodeProto& node) {
  const int index = constant_index(import, node);
  if (!import.is_constant(node, index)) return emit_commutative(import, node, NodeKind::kMultiply);
  return emit_affine(import, node, index, kItself, kZero);
}

Status import_divide(OnnxImport& import, const onnx::NodeProto& node) {
  if (!import.is_constant(node, 1)) return onnx_unsupported("by a computed tensor");
  return emit_affine(import, node, 1, kInverse, kZero);
}

}  // namespace cleave::importer
