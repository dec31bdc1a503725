// SPDX-License-Identifier: Apache-2.0
//
// ONNX file -> Graph: checks the file's frame, then walks its nodes in order. What one operator
// becomes is in the files that onnx_ops.h names.
#include <limits>
#include <string>
#include <unordered_set>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"
#include "schemas/text_check.h"

namespace cleave::importer {
namespace {

constexpr std::int64_t kMinOpset = 7;
constexpr std::int64_t kMaxOpset = 17;
constexpr int kMaxNodes = 1 << 16;
constexpr std::int64_t kMaxExtent = 1 << 20;
constexpr std::size_t kMaxMessageBytes = 1 << 16;

bool is_onnx_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

std::string full_type(const onnx::NodeProto& node) {
  return is_onnx_domain(node.domain()) ? node.op_type() : node.domain() + "." + node.op_type();
}

Result<std::int64_t> read_opset(const onnx::ModelProto& model) {
  std::int64_t opset = 0;
  for (const onnx::OperatorSetIdProto& id : model.opset_import()) {
    if (is_onnx_domain(id.domain())) opset = id.version();
  }
  if (opset == 0) return onnx_corrupt("the model does not say which opset it uses");
  if (opset < kMinOpset || opset > kMaxOpset) {
    return onnx_unsupported("opset " + std::to_string(opset) + "; opsets " +
                            std::to_string(kMinOpset) + " to " + std::to_string(kMaxOpset) +
                            " are imported, so export the model again with one of them");
  }
  return opset;
}

// Which nodes the output depends on. Nodes are in order, so one pass from the last suffices; an
// input that only a later node writes is found when it is read.
std::vector<bool> find_needed(const onnx::GraphProto& graph, const std::string& output) {
  std::unordered_set<std::string> wanted{output};
  std::vector<bool> needed(static_cast<std::size_t>(graph.node_size()), false);
  for (int i = graph.node_size() - 1; i >= 0; --i) {
    const onnx::NodeProto& node = graph.node(i);
    bool used = false;
    for (const std::string& name : node.output()) used = used || wanted.contains(name);
    if (!used) continue;
    needed[static_cast<std::size_t>(i)] = true;
    wanted.insert(node.input().begin(), node.input().end());
  }
  return needed;
}

bool is_to_nchw(const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  return node.op_type() == "Transpose" &&
         attributes.integers("perm", {}) == std::vector<std::int64_t>{0, 3, 1, 2};
}

bool keeps_layout(const onnx::NodeProto& node) {
  const std::string& type = node.op_type();
  return type == "Identity" || type == "Cast" || type == "Add" || type == "Sub" || type == "Mul" ||
         type == "Div" || type == "Pad";
}

// ONNX's operators want N,C,H,W. A model whose input is N,H,W,C (converted from another framework)
// turns it first, perhaps after some arithmetic.
bool input_is_nhwc(const onnx::GraphProto& graph, const std::string& input) {
  std::unordered_set<std::string> same_layout{input};
  for (const onnx::NodeProto& node : graph.node()) {
    bool reads = false;
    for (const std::string& name : node.input()) reads = reads || same_layout.contains(name);
    if (!reads) continue;
    if (is_to_nchw(node)) return true;
    if (keeps_layout(node)) same_layout.insert(node.output().begin(), node.output().end());
  }
  return false;
}

Result<std::uint32_t> fixed_extent(const onnx::TensorShapeProto& shape, int index) {
  const std::int64_t extent = shape.dim(index).dim_value();
  if (extent == 0) {
    return onnx_unsupported("extent " + std::to_string(index) +
                            " of the input is not fixed; export the model with a fixed picture "
                            "size");
  }
  if (extent < 0 || extent > kMaxExtent) {
    return onnx_corrupt("extent " + std::to_string(extent) + " of the input is out of range");
  }
  return static_cast<std::uint32_t>(extent);
}

struct InputShape {
  Hwc shape;
  LayoutView view;
  std::int64_t batch = 1;
};

Result<InputShape> read_input_shape(const onnx::GraphProto& graph, const onnx::ValueInfoProto& in) {
  const onnx::TypeProto::Tensor& type = in.type().tensor_type();
  if (type.elem_type() != onnx::TensorProto::FLOAT) {
    return onnx_unsupported("input \"" + in.name() + "\" is not of 32-bit floats");
  }
  const onnx::TensorShapeProto& dims = type.shape();
  if (dims.dim_size() != 2 && dims.dim_size() != 4) {
    return onnx_unsupported("input \"" + in.name() + "\" has " + std::to_string(dims.dim_size()) +
                            " dimensions; images have four and vectors two");
  }
  InputShape result;
  if (dims.dim(0).dim_value() > 1) result.batch = dims.dim(0).dim_value();
  std::vector<std::uint32_t> extents;
  for (int i = 1; i < dims.dim_size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t extent, fixed_extent(dims, i));
    extents.push_back(extent);
  }
  if (extents.size() == 1) {
    result.shape = {1, 1, extents[0]};
    result.view.dims = view_nchw(result.shape).dims;
    result.view.dims.resize(2);
  } else if (input_is_nhwc(graph, in.name())) {
    result.shape = {extents[0], extents[1], extents[2]};
    result.view = view_nhwc(result.shape);
  } else {
    result.shape = {extents[1], extents[2], extents[0]};
    result.view = view_nchw(result.shape);
  }
  return result;
}

Status define_inputs(OnnxImport& import, const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    CLEAVE_RETURN_IF_ERROR(import.define_initializer(tensor));
  }
  const onnx::ValueInfoProto* input = nullptr;
  for (const onnx::ValueInfoProto& candidate : graph.input()) {
    if (import.knows(candidate.name())) continue;  // an initializer listed as an input
    if (input != nullptr) {
      return onnx_unsupported("the network has several inputs (\"" + input->name() + "\", \"" +
                              candidate.name() + "\")");
    }
    input = &candidate;
  }
  if (input == nullptr) return onnx_corrupt("the network has no input");
  CLEAVE_ASSIGN_OR_RETURN(InputShape shape, read_input_shape(graph, *input));
  import.batch = shape.batch;
  import.graph.input = import.graph.add_value(input->name(), shape.shape);
  return import.define_operand(input->name(), {import.graph.input, std::move(shape.view)});
}

Status import_node(OnnxImport& import, const onnx::NodeProto& node) {
  if (!is_onnx_domain(node.domain())) return onnx_unsupported("an operator of another domain");
  const OnnxOp* op = find_onnx_op(node.op_type());
  if (op == nullptr) return onnx_unsupported("an operator that is not imported");
  if (node.output_size() == 0 || node.output(0).empty()) return onnx_corrupt("has no output");
  const bool constant = node.input_size() == 0 || import.all_constant(node);
  if (constant && op->fold != nullptr && (node.input_size() > 0 || op->run == nullptr)) {
    return op->fold(import, node);
  }
  if (op->run != nullptr) return op->run(import, node);
  return onnx_unsupported("inputs that are not constants");
}

// A second output (a dropout's mask, a pool's indices) that something reads; Split gives them all.
Status check_single_output(const onnx::NodeProto& node,
                           const std::unordered_set<std::string>& read) {
  if (node.op_type() == "Split") return Status::ok();
  for (int i = 1; i < node.output_size(); ++i) {
    if (!node.output(i).empty() && read.contains(node.output(i))) {
      return onnx_unsupported("its output \"" + node.output(i) + "\" is used");
    }
  }
  return Status::ok();
}

// Every node that cannot be imported, in one line.
class UnsupportedNodes {
 public:
  void add(const onnx::NodeProto& node, const std::string& why) {
    if (count_ > 0) list_ += "; ";
    list_ += "\"" + onnx_node_name(node) + "\" (" + full_type(node) + "): " + why;
    ++count_;
  }
  [[nodiscard]] Status status() const {
    if (count_ == 0) return Status::ok();
    return onnx_unsupported(std::to_string(count_) + (count_ == 1 ? " node" : " nodes") +
                            " cannot be imported: " + list_);
  }

 private:
  std::string list_;
  int count_ = 0;
};

Status import_nodes(OnnxImport& import, const onnx::GraphProto& graph, const std::string& output) {
  const std::vector<bool> needed = find_needed(graph, output);
  std::unordered_set<std::string> read{output};
  for (const onnx::NodeProto& node : graph.node()) {
    read.insert(node.input().begin(), node.input().end());
  }
  UnsupportedNodes unsupported;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!needed[static_cast<std::size_t>(i)]) continue;
    const onnx::NodeProto& node = graph.node(i);
    const std::string where = "node \"" + onnx_node_name(node) + "\" (" + full_type(node) + ")";
    CLEAVE_RETURN_IF_ERROR(import.check_inputs_known(node).with_context(where));
    // What reads a failed node is only looked at for its type.
    const bool blocked = import.any_failed(node);
    if (blocked && find_onnx_op(node.op_type()) != nullptr && is_onnx_domain(node.domain())) {
      CLEAVE_RETURN_IF_ERROR(import.mark_failed(node));
      continue;
    }
    Status status = check_single_output(node, read);
    if (status.is_ok()) status = import_node(import, node);
    if (status.is_ok()) continue;
    if (status.code() != StatusCode::kUnsupported) return status.with_context(where);
    unsupported.add(node, status.message());
    CLEAVE_RETURN_IF_ERROR(import.mark_failed(node).with_context(where));
  }
  return unsupported.status();
}

// The scores are counted in the source's order: an output of several axes that the source flattens
// in another order than height, width, channel would have its labels mixed up.
Status check_output_order(const LayoutView& view) {
  if (view.channel_groups != 1) return onnx_unsupported("the output splits the channels");
  for (const ViewDim& dim : view.dims) {
    for (std::size_t i = 1; i < dim.size(); ++i) {
      if (dim[i] < dim[i - 1]) {
        return onnx_unsupported("the output flattens an image channel by channel");
      }
    }
  }
  return Status::ok();
}

Status set_output(OnnxImport& import, const std::string& output) {
  const OnnxOperand* operand = import.find_operand(output);
  if (operand == nullptr) {
    return import.knows(output) ? onnx_unsupported("the output \"" + output + "\" is a constant")
                                : onnx_corrupt("nothing writes the output \"" + output + "\"");
  }
  CLEAVE_RETURN_IF_ERROR(check_output_order(operand->view));
  import.graph.output = operand->value;
  return Status::ok();
}

Result<Graph> import_model(const onnx::ModelProto& model) {
  const onnx::GraphProto& source = model.graph();
  if (source.node_size() == 0) return onnx_corrupt("the model has no nodes");
  if (source.node_size() > kMaxNodes) return onnx_unsupported("the model has too many nodes");
  OnnxImport import;
  CLEAVE_ASSIGN_OR_RETURN(import.opset, read_opset(model));
  import.graph.name = source.name();
  import.graph.source_format = "onnx";
  CLEAVE_RETURN_IF_ERROR(define_inputs(import, source));
  if (source.output_size() == 0) return onnx_corrupt("the network has no output");
  if (source.output_size() > 1) return onnx_unsupported("the network has several outputs");
  const std::string& output = source.output(0).name();
  CLEAVE_RETURN_IF_ERROR(import_nodes(import, source, output));
  CLEAVE_RETURN_IF_ERROR(set_output(import, output));
  CLEAVE_RETURN_IF_ERROR(validate(import.graph));
  return std::move(import.graph);
}

}  // namespace

Result<Graph> read_onnx(std::span<const std::byte> file) {
  if (file.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return onnx_unsupported("ONNX files above 2 GiB cannot be read");
  }
  onnx::ModelProto model;
  if (!model.ParseFromArray(file.data(), static_cast<int>(file.size())) || !model.has_graph()) {
    return onnx_corrupt("not an ONNX model, or a damaged one");
  }
  Result<Graph> graph = import_model(model);
  if (graph.is_ok()) return graph;
  // The message quotes names from the file, which may hold anything.
  const Status status = graph.status().with_context("ONNX model");
  return Status(status.code(), clean_text(status.message(), kMaxMessageBytes));
}

}  // namespace cleave::importer
