// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

#include "engine/importer/importer.h"

namespace cleave::importer {
namespace {

constexpr std::uint64_t kMaxSourceBytes = std::uint64_t{4} << 30;

Status os_error(const std::string& path) {
  const StatusCode code =
      errno == ENOENT || errno == ENOTDIR ? StatusCode::kNotFound : StatusCode::kIo;
  return {code, "cannot read " + path + ": " + std::generic_category().message(errno)};
}

Result<std::uint64_t> regular_file_bytes(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return os_error(path);
  if (!S_ISREG(info.st_mode)) return Status{StatusCode::kIo, path + ": not a regular file"};
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  if (bytes > kMaxSourceBytes) {
    return Status{StatusCode::kResourceExhausted, path + ": larger than 4 GiB"};
  }
  return bytes;
}

Status read_all(int fd, const std::string& path, std::vector<std::byte>& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error(path);
    if (got == 0) return {StatusCode::kIo, path + ": became shorter while it was read"};
    done += static_cast<std::size_t>(got);
  }
  return Status::ok();
}

Result<std::vector<std::byte>> read_file(const std::string& path) {
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return os_error(path);
  const auto size = regular_file_bytes(fd, path);
  std::vector<std::byte> bytes;
  Status status = size.status();
  if (status.is_ok()) {
    bytes.resize(static_cast<std::size_t>(*size));
    status = read_all(fd, path, bytes);
  }
  ::close(fd);
  CLEAVE_RETURN_IF_ERROR(status);
  return bytes;
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
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> file, read_file(path));
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
