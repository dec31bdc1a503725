// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_import.h"

#include <utility>

namespace cleave::importer {
namespace {

// A file of a few bytes may ask for tensors of any size (ConstantOfShape, Concat of itself, one
// initializer used as the weights of many nodes). VGG-19 has 144 million weights.
constexpr std::uint64_t kMaxConstantFloats = 1u << 28;
constexpr std::uint64_t kMaxConstantInts = 1u << 20;
constexpr std::uint64_t kMaxWeightElements = 1u << 29;

}  // namespace

std::string onnx_node_name(const onnx::NodeProto& node) {
  if (!node.name().empty()) return node.name();
  return node.output_size() > 0 ? node.output(0) : std::string();
}

Node make_node(NodeKind kind, const OnnxOperand& operand) {
  Node node;
  node.kind = kind;
  node.inputs = {operand.value};
  return node;
}

Status onnx_unsupported(const std::string& why) { return {StatusCode::kUnsupported, why}; }
Status onnx_corrupt(const std::string& why) { return {StatusCode::kCorrupt, why}; }

Result<std::size_t> resolve_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return onnx_corrupt("axis " + std::to_string(axis) + " of " + std::to_string(rank) +
                        " dimensions");
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

bool OnnxImport::has_input(const onnx::NodeProto& node, int index) const {
  return index < node.input_size() && !node.input(index).empty();
}

const OnnxImport::Meaning* OnnxImport::meaning(const onnx::NodeProto& node, int index) const {
  if (!has_input(node, index)) return nullptr;
  const auto found = names_.find(node.input(index));
  return found != names_.end() ? &found->second : nullptr;
}

bool OnnxImport::is_constant(const onnx::NodeProto& node, int index) const {
  const Meaning* found = meaning(node, index);
  return found != nullptr && (std::holds_alternative<OnnxTensor>(*found) ||
                              std::holds_alternative<const onnx::TensorProto*>(*found));
}

bool OnnxImport::all_constant(const onnx::NodeProto& node) const {
  for (int i = 0; i < node.input_size(); ++i) {
    if (has_input(node, i) && !is_constant(node, i)) return false;
  }
  return node.input_size() > 0;
}

bool OnnxImport::any_failed(const onnx::NodeProto& node) const {
  for (int i = 0; i < node.input_size(); ++i) {
    const Meaning* found = meaning(node, i);
    if (found != nullptr && std::holds_alternative<Failed>(*found)) return true;
  }
  return false;
}

Status OnnxImport::check_inputs_known(const onnx::NodeProto& node) const {
  for (int i = 0; i < node.input_size(); ++i) {
    if (has_input(node, i) && meaning(node, i) == nullptr) {
      return onnx_corrupt("reads \"" + node.input(i) + "\", which nothing before it writes");
    }
  }
  return Status::ok();
}

Result<OnnxOperand> OnnxImport::operand(const onnx::NodeProto& node, int index) const {
  const Meaning* found = meaning(node, index);
  if (found == nullptr) return onnx_corrupt("input " + std::to_string(index) + " is not given");
  if (const auto* operand = std::get_if<OnnxOperand>(found)) return *operand;
  return onnx_unsupported("input " + std::to_string(index) + " is a constant");
}

Result<OnnxTensor> OnnxImport::constant(const onnx::NodeProto& node, int index) const {
  const Meaning* found = meaning(node, index);
  if (found == nullptr) return onnx_corrupt("input " + std::to_string(index) + " is not given");
  if (const auto* tensor = std::get_if<OnnxTensor>(found)) return *tensor;
  if (const auto* proto = std::get_if<const onnx::TensorProto*>(found)) {
    return read_onnx_tensor(**proto);
  }
  return onnx_unsupported("input " + std::to_string(index) + " is not a constant");
}

Result<std::vector<std::int64_t>> OnnxImport::constant_ints(const onnx::NodeProto& node,
                                                            int index) const {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, constant(node, index));
  if (tensor.is_float)
    return onnx_corrupt("input " + std::to_string(index) + " is not of integers");
  return std::move(tensor.ints);
}

Result<std::vector<float>> OnnxImport::constant_floats(const onnx::NodeProto& node,
                                                       int index) const {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, constant(node, index));
  if (!tensor.is_float) return onnx_corrupt("input " + std::to_string(index) + " is not of floats");
  return std::move(tensor.floats);
}

Result<OnnxOperand> OnnxImport::image(const onnx::NodeProto& node, int index) const {
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand found, operand(node, index));
  if (found.view != view_nchw(shape(found))) {
    return onnx_unsupported("input " + std::to_string(index) + " is not an image as N,C,H,W");
  }
  return found;
}

Result<ValueId> OnnxImport::append(Node node, const std::string& value_name) {
  // Selected channels may become a kernel of inputs x outputs when lowered.
  const std::uint64_t inputs = graph.values[node.inputs[0]].shape.channels;
  weight_elements_ += node.kernel.size() + node.bias.size() + inputs * node.channels.size();
  if (weight_elements_ > kMaxWeightElements) return onnx_unsupported("the weights are too large");
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, infer_shape(graph, node));
  node.output = graph.add_value(value_name, out);
  graph.nodes.push_back(std::move(node));
  return graph.nodes.back().output;
}

Status OnnxImport::emit(const onnx::NodeProto& source, Node node, LayoutView view, int output) {
  node.name = onnx_node_name(source);
  node.source_type = source.op_type();
  const std::string& name = source.output(output);
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, append(std::move(node), name));
  return define(name, OnnxOperand{value, std::move(view)});
}

Status OnnxImport::emit_image(const onnx::NodeProto& source, Node node) {
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, infer_shape(graph, node));
  return emit(source, std::move(node), view_nchw(out));
}

Status OnnxImport::emit_marker(const onnx::NodeProto& source, const OnnxOperand& operand,
                               LayoutView view) {
  return emit(source, make_node(NodeKind::kMarker, operand), std::move(view));
}

Status OnnxImport::emit_constant(const onnx::NodeProto& source, OnnxTensor tensor) {
  return define(source.output(0), std::move(tensor));
}

Status OnnxImport::take_constant_budget(std::size_t elements, bool is_float) {
  std::uint64_t& used = is_float ? constant_floats_ : constant_ints_;
  const std::uint64_t cap = is_float ? kMaxConstantFloats : kMaxConstantInts;
  if (elements > cap - used) return onnx_unsupported("the constants are too large");
  used += elements;
  return Status::ok();
}

Status OnnxImport::define_initializer(const onnx::TensorProto& tensor) {
  return define(tensor.name(), &tensor);
}

Status OnnxImport::define_operand(const std::string& name, OnnxOperand operand) {
  return define(name, std::move(operand));
}

const OnnxOperand* OnnxImport::find_operand(const std::string& name) const {
  const auto found = names_.find(name);
  return found != names_.end() ? std::get_if<OnnxOperand>(&found->second) : nullptr;
}

Status OnnxImport::mark_failed(const onnx::NodeProto& node) {
  for (const std::string& output : node.output()) {
    if (!output.empty()) CLEAVE_RETURN_IF_ERROR(define(output, Failed{}));
  }
  return Status::ok();
}

Status OnnxImport::define(const std::string& name, Meaning meaning) {
  if (name.empty()) return onnx_corrupt("a tensor has no name");
  if (!names_.emplace(name, std::move(meaning)).second) {
    return onnx_corrupt("\"" + name + "\" is defined twice");
  }
  return Status::ok();
}

}  // namespace cleave::importer
