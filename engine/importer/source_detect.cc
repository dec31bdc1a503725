// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>

#include "engine/importer/importer.h"
#include "schemas/atomic_file.h"

namespace cleave::importer {
namespace {

constexpr std::size_t kMaxSourceBytes = std::size_t{4} << 30;

// Too long, or no file at all, is a source that cannot be used, not a corrupt model file of ours.
Result<std::vector<std::byte>> read_source(const std::string& path) {
  auto file = read_file(path, kMaxSourceBytes);
  const StatusCode code = file.status().code();
  if (code == StatusCode::kCorrupt || code == StatusCode::kOutOfRange) {
    return Status{StatusCode::kUnsupported, file.status().message()};
  }
  return file;
}

bool starts_with(std::span<const std::byte> file, std::size_t offset, std::string_view text) {
  if (file.size() < offset + text.size()) return false;
  return std::equal(text.begin(), text.end(), file.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char c, std::byte b) { return std::byte(c) == b; });
}

bool is_json_object(std::span<const std::byte> file) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = starts_with(file, 0, "\xef\xbb\xbf") ? 3 : 0;
  for (const std::byte b : file.subspan(start)) {
    const char c = static_cast<char>(b);
    if (kSpace.find(c) == std::string_view::npos) return c == '{';
  }
  return false;
}

struct ForeignFormat {
  std::string_view magic;
  const char* advice;
};

constexpr ForeignFormat kForeign[] = {
    {"PK\x03\x04",
     "a zip archive: unpack it and name the .tflite, .onnx or model.json inside (a PyTorch .pt "
     "file is one too: export it with torch.onnx.export; a .keras file: convert it to TFLite)"},
    {"\x89HDF", "a Keras HDF5 file: convert it to TFLite (tf.lite.TFLiteConverter) or TF.js"},
    {"\x89"
     "CLVM",
     "a cleave model already: nothing to import"},
    {"\x1f\x8b", "compressed with gzip: unpack it first"},
};

Status check_known(std::span<const std::byte> file) {
  if (file.empty()) return {StatusCode::kCorrupt, "the file is empty"};
  for (const ForeignFormat& format : kForeign) {
    if (starts_with(file, 0, format.magic)) return {StatusCode::kUnsupported, format.advice};
  }
  return Status::ok();
}

Result<Graph> read_by_content(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> file, read_source(path));
  CLEAVE_RETURN_IF_ERROR(check_known(file).with_context(path));
  constexpr std::size_t kFlatBufferIdentifierOffset = 4;
  Result<Graph> graph = starts_with(file, kFlatBufferIdentifierOffset, "TFL3") ? read_tflite(file)
                        : is_json_object(file)                                 ? read_tfjs(path)
                                                                               : read_onnx(file);
  if (!graph.is_ok()) return graph.status().with_context(path);
  return graph;
}

// What exporters call every network tells nobody which one it is.
bool is_telling(const std::string& name) {
  constexpr std::string_view kGeneric[] = {"",      "main",    "main_graph", "graph",
                                           "model", "tf2onnx", "torch_jit",  "torch-jit-export"};
  return std::find(std::begin(kGeneric), std::end(kGeneric), name) == std::end(kGeneric);
}

}  // namespace

Result<Graph> read_source(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path source = path;
  if (fs::is_directory(source, ignored)) {
    source /= "model.json";
    if (!fs::exists(source, ignored)) {
      return Status{StatusCode::kNotFound,
                    path + ": a folder without a model.json; name the model's file"};
    }
  }
  auto graph = read_by_content(source.string());
  if (!graph.is_ok()) return graph.status();
  if (!is_telling(graph->name)) {
    // A TF.js model is called model.json wherever it is: its folder says more.
    const bool generic = source.filename() == "model.json" && source.has_parent_path();
    graph->name =
        (generic ? fs::absolute(source).parent_path().filename() : source.stem()).string();
  }
  return graph;
}

}  // namespace cleave::importer
