// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "engine/importer/variants.h"
#include "schemas/model_reader.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_writer.h"

namespace cleave::bench {
namespace {

constexpr std::uint64_t kInputSeed = 1;

Status cannot_write(const std::string& path) {
  return {StatusCode::kIo, "cannot write " + path + ": is the disk full?"};
}

Status write_input(const BenchFiles& files) {
  const std::vector<float> values = test::seeded_values(element_count(files.input), kInputSeed);
  std::ofstream file(files.input_path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  file.close();
  return file ? Status::ok() : cannot_write(files.input_path);
}

Status write_onnx(const importer::Graph& graph, const std::string& path) {
  const onnx::ModelProto model = test::to_onnx(graph);
  std::ofstream file(path, std::ios::binary);
  const bool written = model.SerializeToOstream(&file);
  file.close();
  return written && file ? Status::ok() : cannot_write(path);
}

Status write_model(importer::Graph graph, bool reduced, const std::string& path) {
  CLEAVE_RETURN_IF_ERROR(importer::compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const auto variants,
                          importer::Variants::make(graph, {.f16 = reduced, .int8 = reduced}));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                          importer::build_model_file(variants.list()));
  graph = {};
  return importer::write_model_file(bytes, path);
}

}  // namespace

Result<BenchFiles> write_zoo_files(const std::string& zoo_name, const importer::ZooOptions& options,
                                   bool reduced, const std::string& folder) {
  CLEAVE_ASSIGN_OR_RETURN(importer::Graph graph, importer::make_zoo_model(zoo_name, options));
  test::name_apart(graph);
  const importer::Value& input = graph.values[graph.input];
  BenchFiles files;
  files.name = zoo_name + " " + std::to_string(options.input);
  files.model_path = folder + "/" + zoo_name + ".cleave";
  files.onnx_path = folder + "/" + zoo_name + ".onnx";
  files.input_path = folder + "/" + zoo_name + ".f32";
  files.input_name = input.name;
  files.output_name = graph.values[graph.output].name;
  files.input = fbs::Shape(input.shape.height, input.shape.width, input.shape.channels);
  files.variants = {"f32"};
  if (reduced) files.variants.insert(files.variants.end(), {"f16", "int8"});
  CLEAVE_RETURN_IF_ERROR(write_input(files));
  CLEAVE_RETURN_IF_ERROR(write_onnx(graph, files.onnx_path));
  CLEAVE_RETURN_IF_ERROR(write_model(std::move(graph), reduced, files.model_path));
  return files;
}

Result<BenchFiles> write_input_for(const std::string& model_path, const std::string& folder) {
  CLEAVE_ASSIGN_OR_RETURN(const auto model, ModelFile::open(model_path));
  const fbs::Variant& variant = *model->header().variants()->Get(0);
  BenchFiles files;
  files.name = std::filesystem::path(model_path).stem().string();
  files.model_path = model_path;
  files.input_path = folder + "/" + files.name + ".f32";
  files.input = *variant.tensors()->Get(variant.input())->shape();
  for (const fbs::Variant* listed : *model->header().variants()) {
    files.variants.push_back(listed->name()->str());
  }
  CLEAVE_RETURN_IF_ERROR(write_input(files));
  return files;
}

Status warm_pages(const BenchFiles& files) {
  std::vector<char> chunk(1u << 20);
  for (const std::string& path : {files.model_path, files.onnx_path, files.input_path}) {
    if (path.empty()) continue;
    std::ifstream file(path, std::ios::binary);
    if (!file) return {StatusCode::kIo, "cannot read " + path};
    while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()))) {
    }
  }
  return Status::ok();
}

}  // namespace cleave::bench
