// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/support/onnx_writer.h"

namespace cleave::test {
namespace {

onnx::AttributeProto* add_attribute(onnx::NodeProto& node, const std::string& name,
                                    onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

}  // namespace

std::vector<std::byte> to_bytes(const onnx::ModelProto& model) {
  std::vector<std::byte> bytes(model.ByteSizeLong());
  if (!model.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  return bytes;
}

void set_int(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  add_attribute(node, name, onnx::AttributeProto::INT)->set_i(value);
}

void set_float(onnx::NodeProto& node, const std::string& name, float value) {
  add_attribute(node, name, onnx::AttributeProto::FLOAT)->set_f(value);
}

void set_text(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  add_attribute(node, name, onnx::AttributeProto::STRING)->set_s(value);
}

void set_ints(onnx::NodeProto& node, const std::string& name,
              const std::vector<std::int64_t>& values) {
  onnx::AttributeProto* attribute = add_attribute(node, name, onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute->add_ints(value);
}

void add_initializer(onnx::GraphProto& graph, const std::string& name,
                     const std::vector<std::int64_t>& dims, const std::vector<float>& values) {
  onnx::TensorProto* tensor = graph.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) tensor->add_dims(dim);
  tensor->set_raw_data(values.data(), values.size() * sizeof(float));
}

void add_int_initializer(onnx::GraphProto& graph, const std::string& name,
                         const std::vector<std::int64_t>& values) {
  onnx::TensorProto* tensor = graph.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<std::int64_t>(values.size()));
  for (const std::int64_t value : values) tensor->add_int64_data(value);
}

void add_input(onnx::GraphProto& graph, const std::string& name,
               const std::vector<std::int64_t>& dims) {
  onnx::ValueInfoProto* input = graph.add_input();
  input->set_name(name);
  onnx::TypeProto::Tensor* type = input->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) type->mutable_shape()->add_dim()->set_dim_value(dim);
}

void add_output(onnx::GraphProto& graph, const std::string& name) {
  const bool there = std::any_of(graph.output().begin(), graph.output().end(),
                                 [&](const auto& output) { return output.name() == name; });
  if (!there) graph.add_output()->set_name(name);
}

onnx::ModelProto empty_model(int opset) {
  onnx::ModelProto model;
  model.set_ir_version(7);
  model.set_producer_name("cleave tests");
  onnx::OperatorSetIdProto* id = model.add_opset_import();
  id->set_domain("");
  id->set_version(opset);
  model.mutable_graph()->set_name("test");
  return model;
}

}  // namespace cleave::test
