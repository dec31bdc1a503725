// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/importer/tfjs_builder.h"

#include <fstream>
#include <utility>

namespace cleave::test {

json keras_layer(const std::string& type, const std::string& name, json config) {
  config["name"] = name;
  return {{"class_name", type}, {"config", std::move(config)}, {"name", name}};
}

json keras_call(json layer, const std::vector<std::string>& from) {
  json references = json::array();
  for (const std::string& name : from) {
    references.push_back(json::array({name, 0, 0, json::object()}));
  }
  layer["inbound_nodes"].push_back(std::move(references));
  return layer;
}

json keras_input(const std::string& name, const json& batch_shape) {
  json result = keras_layer("InputLayer", name, {{"batch_input_shape", batch_shape}});
  result["inbound_nodes"] = json::array();
  return result;
}

json keras_sequential(const std::string& name, const std::vector<json>& layers) {
  return {{"class_name", "Sequential"}, {"config", {{"name", name}, {"layers", layers}}}};
}

json keras_functional(const std::string& name, const std::vector<json>& layers,
                      const std::string& input, const std::string& output) {
  const auto endpoint = [](const std::string& layer_name) {
    return json::array({json::array({layer_name, 0, 0})});
  };
  return {{"class_name", "Functional"},
          {"name", name},
          {"config",
           {{"name", name},
            {"layers", layers},
            {"input_layers", endpoint(input)},
            {"output_layers", endpoint(output)}}}};
}

void TfjsBuilder::weight(const std::string& name, const std::vector<int>& shape,
                         const std::vector<float>& values) {
  specs_.push_back({{"name", name}, {"shape", shape}, {"dtype", "float32"}});
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
  shard_.insert(shard_.end(), bytes, bytes + values.size() * sizeof(float));
}

void TfjsBuilder::packed_weight(const std::string& name, const std::vector<int>& shape,
                                const std::string& dtype, const std::vector<std::uint8_t>& bytes,
                                double scale, double minimum) {
  json quantization{{"dtype", dtype}};
  if (scale != 0) quantization.update({{"scale", scale}, {"min", minimum}});
  specs_.push_back(
      {{"name", name}, {"shape", shape}, {"dtype", "float32"}, {"quantization", quantization}});
  shard_.insert(shard_.end(), bytes.begin(), bytes.end());
}

json TfjsBuilder::file(const json& model) const {
  return {{"format", "layers-model"},
          {"modelTopology", {{"keras_version", "2.2.4"}, {"model_config", model}}},
          {"weightsManifest",
           json::array({{{"paths", json::array({"weights.bin"})}, {"weights", specs_}}})}};
}

std::string TfjsBuilder::write(const json& file) const { return write_text(file.dump()); }

std::string TfjsBuilder::write_text(const std::string& model_json) const {
  write_beside("model.json", model_json);
  write_beside("weights.bin", {shard_.begin(), shard_.end()});
  return folder_ / "model.json";
}

void TfjsBuilder::write_beside(const std::string& name, const std::string& content) const {
  std::ofstream(folder_ / name, std::ios::binary) << content;
}

}  // namespace cleave::test
