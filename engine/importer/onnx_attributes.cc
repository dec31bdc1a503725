// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_attributes.h"

#include <utility>

namespace cleave::importer {

const onnx::AttributeProto* OnnxAttributes::find(std::string_view name) const {
  for (const onnx::AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

const onnx::AttributeProto* OnnxAttributes::find_typed(std::string_view name, Type type) {
  const onnx::AttributeProto* attribute = find(name);
  // The first files of the format did not store the type.
  if (attribute == nullptr || !attribute->has_type() || attribute->type() == type) return attribute;
  status_ = Status(StatusCode::kCorrupt,
                   "attribute \"" + std::string(name) + "\" has a type it may not have");
  return nullptr;
}

std::int64_t OnnxAttributes::integer(std::string_view name, std::int64_t fallback) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::INT);
  return attribute != nullptr ? attribute->i() : fallback;
}

float OnnxAttributes::number(std::string_view name, float fallback) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::FLOAT);
  return attribute != nullptr ? attribute->f() : fallback;
}

std::string OnnxAttributes::text(std::string_view name, const std::string& fallback) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::STRING);
  return attribute != nullptr ? attribute->s() : fallback;
}

std::vector<std::int64_t> OnnxAttributes::integers(std::string_view name,
                                                   std::vector<std::int64_t> fallback) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::INTS);
  if (attribute == nullptr) return fallback;
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<float> OnnxAttributes::numbers(std::string_view name) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::FLOATS);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

const onnx::TensorProto* OnnxAttributes::tensor(std::string_view name) {
  const auto* attribute = find_typed(name, onnx::AttributeProto::TENSOR);
  return attribute != nullptr && attribute->has_t() ? &attribute->t() : nullptr;
}

}  // namespace cleave::importer
