// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/importer/commands.h"
#include "engine/importer/self_test.h"
#include "schemas/model_reader.h"

namespace cleave::importer {
namespace {

Result<std::vector<std::byte>> build(Graph& graph, const VariantOptions& options,
                                     const std::string& self_test_picture) {
  CLEAVE_RETURN_IF_ERROR(compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const Variants variants, Variants::make(graph, options));
  const std::vector<VariantGraph> list = variants.list();
  auto file = build_model_file(list);
  if (!file.is_ok() || self_test_picture.empty()) return file;
  CLEAVE_ASSIGN_OR_RETURN(SelfTestPicture test, make_self_test(*file, self_test_picture));
  return build_model_file(list, test);
}

std::string variant_names(const fbs::Model& model) {
  std::string names;
  for (const fbs::Variant* variant : *model.variants()) {
    names += (names.empty() ? "" : ", ") + variant->name()->str();
  }
  return names;
}

void print_summary(const ModelFile& file, bool json) {
  const fbs::Model& model = file.header();
  const std::uint32_t layers = model.layers()->size();
  const std::uint32_t ops = model.variants()->Get(0)->ops()->size();
  const std::string identity = to_hex(file.identity());
  if (json) {
    const nlohmann::ordered_json summary = {{"path", file.path()},
                                            {"name", model.name()->str()},
                                            {"source_format", model.source_format()->str()},
                                            {"layers", layers},
                                            {"ops", ops},
                                            {"variants", variant_names(model)},
                                            {"file_bytes", file.file_bytes()},
                                            {"identity", identity}};
    // File names are bytes, JSON is UTF-8.
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", summary.dump(-1, ' ', false, replace).c_str());
  } else {
    std::printf("%s: %s (%s), %u layers, %u ops, %llu bytes, identity %.12s\n", file.path().c_str(),
                model.name()->c_str(), variant_names(model).c_str(), layers, ops,
                static_cast<unsigned long long>(file.file_bytes()), identity.c_str());
  }
}

}  // namespace

ExitCode fail(const Status& status, ExitCode code) {
  std::fprintf(stderr, "cleave-import: error: %s\n", status.message().c_str());
  return code;
}

ExitCode exit_code_of(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ExitCode::kOk;
    case StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case StatusCode::kCorrupt:
    case StatusCode::kUnsupported:
    case StatusCode::kOutOfRange:
      return ExitCode::kBadInput;
    case StatusCode::kIo:
    case StatusCode::kResourceExhausted:
      return ExitCode::kIo;
    case StatusCode::kMismatch:
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kInternal:
      return ExitCode::kInternal;
  }
  return ExitCode::kInternal;
}

ExitCode model_exit_code(const Status& status) {
  const bool bad_model =
      status.code() == StatusCode::kCorrupt || status.code() == StatusCode::kUnsupported;
  return bad_model ? ExitCode::kCorruptModel : exit_code_of(status);
}

ExitCode write_model(Graph graph, const VariantOptions& variants, const std::string& path,
                     const std::string& self_test_picture, bool json) {
  auto bytes = build(graph, variants, self_test_picture);
  if (!bytes.is_ok()) return fail(bytes.status(), exit_code_of(bytes.status()));
  const Status written = write_model_file(*bytes, path);
  if (!written.is_ok()) return fail(written, exit_code_of(written));
  const auto file = ModelFile::open(path);
  if (!file.is_ok()) return fail(file.status(), ExitCode::kInternal);
  print_summary(**file, json);
  return ExitCode::kOk;
}

}  // namespace cleave::importer
