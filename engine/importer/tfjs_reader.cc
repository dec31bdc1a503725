// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/tfjs_import.h"
#include "engine/importer/tfjs_topology.h"

namespace cleave::importer {
namespace {

constexpr std::uint64_t kMaxJsonBytes = 64u << 20;
constexpr std::size_t kMaxLabels = 65536;

// The {"class_name", "config"} object; converters of Keras files wrap it in "model_config".
Result<const Json*> find_model(const Json& file) {
  const Json* topology = json_member(file, "modelTopology");
  if (topology == nullptr) return Status(StatusCode::kCorrupt, "there is no \"modelTopology\"");
  if (json_member(*topology, "node") != nullptr) {
    return Status(StatusCode::kUnsupported,
                  "this is a TF.js graph model; convert the Keras model to a layers model "
                  "(tensorflowjs_converter --output_format tfjs_layers_model)");
  }
  const Json* wrapped = json_member(*topology, "model_config");
  return wrapped == nullptr ? topology : wrapped;
}

std::vector<std::string> read_labels(const Json& metadata) {
  std::vector<std::string> labels;
  const Json* list = json_member(metadata, "labels");
  if (json_size(list) > kMaxLabels) return labels;
  for (std::size_t i = 0; i < json_size(list); ++i) {
    const std::string* label = json_text(&json_at(*list, i));
    if (label == nullptr) return {};
    labels.push_back(label->substr(0, 200));
  }
  return labels;
}

// Teachable Machine puts a metadata.json beside the model: the classes' names, and by the package's
// name what its own code does to a picture (centre square, pixel / 127.5 - 1).
Status read_metadata(const std::string& path, Graph& graph) {
  const Result<std::vector<char>> content = read_tfjs_file(path, kMaxJsonBytes);
  if (content.status().code() == StatusCode::kNotFound) return Status::ok();
  if (!content.is_ok()) return content.status();
  const Result<Json> parsed = parse_json({content->data(), content->size()});
  if (!parsed.is_ok()) return parsed.status().with_context("metadata.json");
  std::vector<std::string> labels = read_labels(*parsed);
  if (labels.size() == graph.values[graph.output].shape.channels) graph.labels = std::move(labels);
  const std::string* package = json_text(json_member(*parsed, "packageName"));
  if (package != nullptr && *package == "@teachablemachine/image" &&
      graph.values[graph.input].shape.channels == 3) {
    graph.preprocessing.mean.assign(3, 127.5F);
    graph.preprocessing.deviation.assign(3, 127.5F);
    graph.preprocessing.crop = GraphPreprocessing::Crop::kCenterSquare;
  }
  return Status::ok();
}

Result<Graph> import_file(const Json& file, const std::string& directory) {
  CLEAVE_ASSIGN_OR_RETURN(const Json* model, find_model(file));
  const Json* manifest = json_member(file, "weightsManifest");
  if (manifest == nullptr) {
    return Status(StatusCode::kCorrupt, "there is no \"weightsManifest\"");
  }
  CLEAVE_ASSIGN_OR_RETURN(TfjsWeights weights, TfjsWeights::read(*manifest, directory));
  TfjsImport import(std::move(weights));
  CLEAVE_RETURN_IF_ERROR(TfjsTopology(import).import_model(*model));
  CLEAVE_RETURN_IF_ERROR(validate(import.graph()));
  return std::move(import.graph());
}

}  // namespace

Result<Graph> read_tfjs(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<char> content, read_tfjs_file(path, kMaxJsonBytes));
  const Result<Json> file = parse_json({content.data(), content.size()});
  if (!file.is_ok()) return file.status();
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  CLEAVE_ASSIGN_OR_RETURN(Graph graph, import_file(*file, directory.string()));
  CLEAVE_RETURN_IF_ERROR(read_metadata((directory / "metadata.json").string(), graph));
  return graph;
}

}  // namespace cleave::importer
