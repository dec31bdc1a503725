// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/onnx_vectors.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"
#include "engine/importer/onnx_tensors.h"
#include "tests/support/onnx_writer.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

OnnxVector left_out(std::string reason) {
  OnnxVector vector;
  vector.reason = std::move(reason);
  return vector;
}

bool only_imported_operators(const onnx::GraphProto& graph) {
  return std::all_of(graph.node().begin(), graph.node().end(), [](const onnx::NodeProto& node) {
    return importer::find_onnx_op(node.op_type()) != nullptr;
  });
}

bool has_operator(const onnx::GraphProto& graph, const std::set<std::string>& types) {
  return std::any_of(graph.node().begin(), graph.node().end(),
                     [&](const auto& node) { return types.contains(node.op_type()); });
}

bool only_renames(const onnx::GraphProto& graph) {
  static const std::set<std::string> kRenaming{"Flatten",   "Reshape",  "Squeeze", "Unsqueeze",
                                               "Transpose", "Identity", "Dropout", "Constant"};
  return std::all_of(graph.node().begin(), graph.node().end(),
                     [](const auto& node) { return kRenaming.contains(node.op_type()); });
}

// Every read of `from` becomes one of `to`.
void rename_reads(onnx::GraphProto& graph, const std::string& from, const std::string& to) {
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for (std::string& input : *node.mutable_input()) {
      if (input == from) input = to;
    }
  }
}

// Puts `node` before all others: ONNX wants every value written before it is read.
void add_first(onnx::GraphProto& graph, onnx::NodeProto node) {
  *graph.add_node() = std::move(node);
  auto* nodes = graph.mutable_node();
  for (int i = nodes->size() - 1; i > 0; --i) nodes->SwapElements(i, i - 1);
}

onnx::NodeProto make_node(const std::string& type, const std::vector<std::string>& inputs,
                          const std::string& output) {
  onnx::NodeProto node;
  node.set_op_type(type);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

void multiply_input_by_one(onnx::GraphProto& graph, const std::string& input) {
  add_initializer(graph, "vector/one", {}, {1.0f});
  rename_reads(graph, input, "vector/same");
  add_first(graph, make_node("Mul", {input, "vector/one"}, "vector/same"));
}

void multiply_output_by_identity(onnx::GraphProto& graph, std::int64_t columns) {
  std::vector<float> identity(static_cast<std::size_t>(columns * columns), 0.0f);
  for (std::int64_t i = 0; i < columns; ++i) {
    identity[static_cast<std::size_t>(i * (columns + 1))] = 1.0f;
  }
  add_initializer(graph, "vector/identity", {columns, columns}, identity);
  const std::string output = graph.output(0).name();
  *graph.add_node() = make_node("MatMul", {output, "vector/identity"}, "vector/output");
  graph.mutable_output(0)->set_name("vector/output");
}

// Gives every input but the first a node that writes it, computed from the first; what it computes
// does not matter, the case is fed behind it. False: there is none of that shape.
bool derive_other_inputs(OnnxVector& vector) {
  onnx::GraphProto& graph = *vector.model.mutable_graph();
  const OnnxVectorInput& first = vector.inputs[0];
  for (std::size_t i = vector.inputs.size(); i-- > 0;) {
    const OnnxVectorInput& input = vector.inputs[i];
    const std::size_t rank = first.dims.size();
    bool fits = input.dims.size() == rank && input.dims[0] == first.dims[0];
    for (std::size_t d = 2; fits && d < rank; ++d) fits = input.dims[d] == first.dims[d];
    if (!fits) return false;
    const std::string weights = input.name + "/weights";
    std::vector<std::int64_t> dims{input.dims[1], first.dims[1]};
    if (rank == 2) std::swap(dims[0], dims[1]);
    if (rank == 4) dims.insert(dims.end(), {1, 1});
    add_initializer(graph, weights, dims,
                    std::vector<float>(static_cast<std::size_t>(dims[0] * dims[1]), 0.5f));
    add_first(graph,
              make_node(rank == 4 ? "Conv" : "MatMul", {"vector/input", weights}, input.name));
  }
  graph.clear_input();
  add_input(graph, "vector/input", first.dims);
  return true;
}

bool computes_all_inputs(const onnx::GraphProto& graph, const OnnxVector& vector) {
  if (graph.node_size() != 1 || !has_operator(graph, {"Concat", "Add", "Mul"})) return false;
  return std::all_of(vector.inputs.begin(), vector.inputs.end(), [&](const auto& input) {
    return input.dims.size() == vector.inputs[0].dims.size() && input.dims.size() > 1;
  });
}

// Inputs after the first become initializers.
void bind_weights(OnnxVector& vector, const std::vector<onnx::TensorProto>& tensors) {
  onnx::GraphProto& graph = *vector.model.mutable_graph();
  for (std::size_t i = 1; i < tensors.size(); ++i) *graph.add_initializer() = tensors[i];
  vector.inputs.resize(1);
  // The suite says no batch for some inputs; the data does.
  graph.clear_input();
  add_input(graph, vector.inputs[0].name, vector.inputs[0].dims);
}

void dress(OnnxVector& vector, const std::vector<onnx::TensorProto>& tensors) {
  onnx::GraphProto& graph = *vector.model.mutable_graph();
  if (vector.inputs.size() > 1 && computes_all_inputs(graph, vector) &&
      derive_other_inputs(vector)) {
    return;
  }
  bind_weights(vector, tensors);
  if (!only_renames(graph)) return;
  multiply_input_by_one(graph, vector.inputs[0].name);
  const auto batch = static_cast<std::size_t>(vector.inputs[0].dims[0]);
  if (vector.expected_rank == 2 && vector.inputs[0].dims.size() == 4) {
    multiply_output_by_identity(graph, static_cast<std::int64_t>(vector.expected.size() / batch));
  }
}

Result<importer::OnnxTensor> read_tensor(const fs::path& path, onnx::TensorProto& proto) {
  if (!proto.ParseFromString(read_file(path))) {
    return Status(StatusCode::kUnsupported, "its data is not a tensor");
  }
  return importer::read_onnx_tensor(proto);
}

std::vector<std::string> fed_names(const onnx::GraphProto& graph) {
  std::set<std::string> initialized;
  for (const auto& tensor : graph.initializer()) initialized.insert(tensor.name());
  std::vector<std::string> names;
  for (const auto& input : graph.input()) {
    if (!initialized.contains(input.name())) names.push_back(input.name());
  }
  return names;
}

// The oldest cases say opset 1 to 6, where the importer begins at 7. For most operators nothing
// changed but the number; what did change is told by attributes that opset 7 no longer knows.
bool means_the_same_in_opset_7(const onnx::ModelProto& model) {
  for (const onnx::NodeProto& node : model.graph().node()) {
    importer::OnnxAttributes attributes(node);
    const std::string& type = node.op_type();
    const bool binary = type == "Add" || type == "Sub" || type == "Mul" || type == "Div";
    if (binary && attributes.has("axis")) return false;
    if (type == "Reshape" && attributes.has("shape")) return false;
    const bool training = attributes.integer("is_test", 1) == 0;
    const bool mode_told = attributes.has("is_test");
    if ((type == "BatchNormalization" || type == "Dropout") && (training || !mode_told)) {
      return false;
    }
  }
  return true;
}

void raise_old_opset(onnx::ModelProto& model) {
  for (onnx::OperatorSetIdProto& id : *model.mutable_opset_import()) {
    if (id.domain().empty() && id.version() < 7 && means_the_same_in_opset_7(model)) {
      id.set_version(7);
    }
  }
}

// Fills inputs and expected output from test_data_set_0; why the case cannot run, if so.
std::string read_data(const fs::path& directory, OnnxVector& vector,
                      std::vector<onnx::TensorProto>& tensors) {
  const std::vector<std::string> names = fed_names(vector.model.graph());
  if (names.empty()) return "it has no input";
  if (!vector.model.graph().input(0).type().has_tensor_type()) return "its input is no tensor";
  for (std::size_t i = 0; i < names.size(); ++i) {
    onnx::TensorProto proto;
    Result<importer::OnnxTensor> tensor =
        read_tensor(directory / ("input_" + std::to_string(i) + ".pb"), proto);
    if (!tensor.is_ok()) return tensor.status().message();
    if (i == 0 && proto.data_type() != onnx::TensorProto::FLOAT) return "not of 32-bit floats";
    proto.set_name(names[i]);
    tensors.push_back(std::move(proto));
    vector.inputs.push_back({names[i], tensor->dims, tensor->floats});
  }
  const std::size_t rank = vector.inputs[0].dims.size();
  if (rank != 2 && rank != 4) return "its input has " + std::to_string(rank) + " dimensions";
  onnx::TensorProto proto;
  Result<importer::OnnxTensor> expected = read_tensor(directory / "output_0.pb", proto);
  if (!expected.is_ok()) return expected.status().message();
  if (!expected->is_float) return "its output is not of floats";
  vector.expected = expected->floats;
  vector.expected_rank = expected->dims.size();
  return "";
}

// The boundary tensors in our order.
NamedTensors to_boundary(const ModelFile& model, const OnnxVector& vector, std::uint32_t batch) {
  NamedTensors boundary;
  for (const OnnxVectorInput& input : vector.inputs) {
    boundary[input.name] = nchw_to_nhwc(input.data, shape_of(model, input.name), batch);
  }
  return boundary;
}

}  // namespace

OnnxVector load_onnx_vector(const fs::path& directory) {
  OnnxVector vector;
  if (!vector.model.ParseFromString(read_file(directory / "model.onnx"))) {
    return left_out("its model cannot be parsed");
  }
  if (!only_imported_operators(vector.model.graph())) {
    vector.kind = OnnxVector::Kind::kOtherOperators;
    return vector;
  }
  std::vector<onnx::TensorProto> tensors;
  const std::string reason = read_data(directory / "test_data_set_0", vector, tensors);
  if (!reason.empty()) return left_out(reason);
  raise_old_opset(vector.model);
  dress(vector, tensors);
  vector.kind = OnnxVector::Kind::kRun;
  return vector;
}

Result<std::vector<float>> run_onnx_vector(const OnnxVector& vector) {
  CLEAVE_ASSIGN_OR_RETURN(importer::Graph graph, importer::read_onnx(to_bytes(vector.model)));
  CLEAVE_ASSIGN_OR_RETURN(const auto model, compile_graph(std::move(graph)));
  const auto batch = static_cast<std::uint32_t>(vector.inputs[0].dims[0]);
  // With several inputs each has an op of its own before the case.
  const auto first = static_cast<OpIndex>(vector.inputs.size() > 1 ? vector.inputs.size() : 0);
  CLEAVE_ASSIGN_OR_RETURN(const NamedTensors outputs,
                          run_ops(model, {first, first_variant(*model).ops()->size()},
                                  to_boundary(*model, vector, batch), batch));
  const std::string output = output_name(*model);
  return nhwc_to_nchw(outputs.at(output), shape_of(*model, output), batch);
}

}  // namespace cleave::test
