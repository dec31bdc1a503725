// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "engine/importer/commands.h"
#include "engine/importer/inspect.h"

namespace cleave::importer {
namespace {

struct Arguments {
  std::string path;
  bool json = false, verify = false;
};

ExitCode run_inspect(const Arguments& arguments) {
  const auto file = ModelFile::open(arguments.path, {.verify_segments = arguments.verify});
  if (!file.is_ok()) return fail(file.status(), model_exit_code(file.status()));
  const auto report = inspect_model(**file);
  if (!report.is_ok()) return fail(report.status(), model_exit_code(report.status()));
  const std::string text = arguments.json ? report_json(*report) + "\n" : report_text(*report);
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0
             ? ExitCode::kOk
             : fail({StatusCode::kIo, "cannot write the report"}, ExitCode::kIo);
}

}  // namespace

Command add_inspect_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App& command =
      *app.add_subcommand("inspect", "Show layers, ops, cuts and their costs of a cleave model");
  command.footer(
      "\nmul-adds: of convolutions and fully connected ops, one picture. boundary: bytes that\n"
      "cross the link at this cut, f32, and the tensors they are. head: ops before the cut;\n"
      "its arena is the peak memory of activations, its weights are counted as stored.\n"
      "\nExamples:\n"
      "  cleave-import inspect m.cleave\n"
      "  cleave-import inspect m.cleave --verify --json\n"
      "\nExit codes: 0 shown; 2 flags; 3 no such file; 5 the model file does not check;\n"
      "11 reading or writing failed; 1 a bug.\n");
  command.add_option("FILE", arguments->path, "Model file")->required();
  command.add_flag("--json", arguments->json, "Print everything as one JSON object");
  command.add_flag("--verify", arguments->verify, "Also hash all weights (reads the whole file)");
  return [arguments] { return run_inspect(*arguments); };
}

}  // namespace cleave::importer
