// SPDX-License-Identifier: Apache-2.0
//
// The state of one ONNX import: what each name of the source means so far, and the Graph being
// built. The handlers of onnx_ops.h work on it, one node at a time, in the source's order.
//
// A name is a constant (folded at import), an operand (a value of our Graph and the view that the
// source has of it), or failed (its node could not be imported; so that one missing operator is
// reported once, not with everything after it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "engine/importer/graph.h"
#include "engine/importer/layout_view.h"
#include "engine/importer/onnx_tensors.h"
#include "schemas/status.h"

namespace cleave::importer {

struct OnnxOperand {
  ValueId value = kNoValue;
  LayoutView view;
};

class OnnxImport {
 public:
  Graph graph;
  std::int64_t opset = 0;
  std::int64_t batch = 1;  // the source's fixed batch; 1 also when it is symbolic

  // --- what inputs of a node are
  [[nodiscard]] bool has_input(const onnx::NodeProto& node, int index) const;
  [[nodiscard]] bool is_constant(const onnx::NodeProto& node, int index) const;
  // True when the node has inputs and all that are given are constants.
  [[nodiscard]] bool all_constant(const onnx::NodeProto& node) const;
  [[nodiscard]] bool any_failed(const onnx::NodeProto& node) const;
  // kCorrupt when an input is read that nothing before the node writes.
  [[nodiscard]] Status check_inputs_known(const onnx::NodeProto& node) const;

  // Errors: kUnsupported when the input is a constant (or an operand, for constant()); kCorrupt
  // when it is not given.
  Result<OnnxOperand> operand(const onnx::NodeProto& node, int index) const;
  Result<OnnxTensor> constant(const onnx::NodeProto& node, int index) const;
  // The same, of integers, resp. floats.
  Result<std::vector<std::int64_t>> constant_ints(const onnx::NodeProto& node, int index) const;
  Result<std::vector<float>> constant_floats(const onnx::NodeProto& node, int index) const;
  // An operand that the source sees as N,C,H,W, as the operators on images want it.
  Result<OnnxOperand> image(const onnx::NodeProto& node, int index) const;

  [[nodiscard]] const Hwc& shape(const OnnxOperand& operand) const {
    return graph.values[operand.value].shape;
  }

  // --- what a node's output becomes
  // Adds `node` to the graph with an output value of the inferred shape.
  Result<ValueId> append(Node node, const std::string& value_name);
  // append() of the last or only node that `source` becomes; its output is seen as `view`, resp.
  // as N,C,H,W. Fills name and source_type. `output` says which of the source's outputs it is.
  Status emit(const onnx::NodeProto& source, Node node, LayoutView view, int output = 0);
  Status emit_image(const onnx::NodeProto& source, Node node);
  // The operand under a new name and view: nothing to compute.
  Status emit_marker(const onnx::NodeProto& source, const OnnxOperand& operand, LayoutView view);
  Status emit_constant(const onnx::NodeProto& source, OnnxTensor tensor);

  // Must be asked before memory for a constant of `elements` is taken whose size does not follow
  // from the size of the file. Errors: kUnsupported when all such constants are too large.
  Status take_constant_budget(std::size_t elements, bool is_float);

  // --- for the reader
  Status define_initializer(const onnx::TensorProto& tensor);
  Status define_operand(const std::string& name, OnnxOperand operand);
  [[nodiscard]] bool knows(const std::string& name) const { return names_.contains(name); }
  const OnnxOperand* find_operand(const std::string& name) const;
  Status mark_failed(const onnx::NodeProto& node);

 private:
  struct Failed {};
  using Meaning = std::variant<const onnx::TensorProto*, OnnxTensor, OnnxOperand, Failed>;
  [[nodiscard]] const Meaning* meaning(const onnx::NodeProto& node, int index) const;
  Status define(const std::string& name, Meaning meaning);

  std::unordered_map<std::string, Meaning> names_;
  std::uint64_t constant_floats_ = 0, constant_ints_ = 0, weight_elements_ = 0;
};

// A name for messages and for our nodes: the node's own, else its first output's.
std::string onnx_node_name(const onnx::NodeProto& node);
// A node of ours that reads `operand`.
Node make_node(NodeKind kind, const OnnxOperand& operand);
Status onnx_unsupported(const std::string& why);
Status onnx_corrupt(const std::string& why);
// An axis attribute in -rank..rank-1 as an index. Errors: kCorrupt.
Result<std::size_t> resolve_axis(std::int64_t axis, std::size_t rank);

}  // namespace cleave::importer
