// SPDX-License-Identifier: Apache-2.0
//
// Attributes of one ONNX node, by name. A handler reads what it needs and then asks status() once:
// an attribute of another type than asked for is remembered there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "schemas/status.h"

namespace cleave::importer {

class OnnxAttributes {
 public:
  // Keeps a reference to `node`.
  explicit OnnxAttributes(const onnx::NodeProto& node) : node_(node) {}

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  // The attribute, or `fallback` when it is absent or of another type.
  std::int64_t integer(std::string_view name, std::int64_t fallback);
  float number(std::string_view name, float fallback);
  std::string text(std::string_view name, const std::string& fallback);
  std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> fallback);
  std::vector<float> numbers(std::string_view name);
  const onnx::TensorProto* tensor(std::string_view name);  // nullptr: absent

  // kCorrupt when an attribute that was read had another type.
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  using Type = onnx::AttributeProto::AttributeType;
  [[nodiscard]] const onnx::AttributeProto* find(std::string_view name) const;
  const onnx::AttributeProto* find_typed(std::string_view name, Type type);

  const onnx::NodeProto& node_;
  Status status_;
};

}  // namespace cleave::importer
