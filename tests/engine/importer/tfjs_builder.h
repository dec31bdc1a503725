// SPDX-License-Identifier: Apache-2.0
//
// Writes small TF.js layers models (model.json and one shard) into a temporary folder.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace cleave::test {

using nlohmann::json;

// {"class_name", "config"} with the name in the config, as Keras writes a layer.
json keras_layer(const std::string& type, const std::string& name, json config = json::object());
// The same with "inbound_nodes": one call, fed by the first output of each of `from`.
json keras_call(json layer, const std::vector<std::string>& from);
json keras_input(const std::string& name, const json& batch_shape);
json keras_sequential(const std::string& name, const std::vector<json>& layers);
json keras_functional(const std::string& name, const std::vector<json>& layers,
                      const std::string& input, const std::string& output);

class TfjsBuilder {
 public:
  void weight(const std::string& name, const std::vector<int>& shape,
              const std::vector<float>& values);
  // Stored as `dtype` ("uint8", "uint16", "float16") in `bytes`.
  void packed_weight(const std::string& name, const std::vector<int>& shape,
                     const std::string& dtype, const std::vector<std::uint8_t>& bytes,
                     double scale = 0, double minimum = 0);

  // model.json for `model`; members may be changed before write().
  [[nodiscard]] json file(const json& model) const;
  // Writes it and the shard; the path of model.json.
  std::string write(const json& file) const;
  std::string write_text(const std::string& model_json) const;
  std::string write_model(const json& model) const { return write(file(model)); }
  void write_beside(const std::string& name, const std::string& content) const;

  std::vector<std::uint8_t>& shard() { return shard_; }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  json specs_ = json::array();
  std::vector<std::uint8_t> shard_;
};

}  // namespace cleave::test
