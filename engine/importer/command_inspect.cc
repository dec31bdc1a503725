// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/importer/commands.h"
#include "engine/importer/inspect.h"
#include "engine/importer/inspect_memory.h"

namespace cleave::importer {
namespace {

struct InspectArguments {
  std::string path;
  bool json = false, verify = false, memory = false;
  std::string split = "all";
  std::string prefer = "speed";
};

// A split that is not there is one that is out of range; "not found" is for files.
ExitCode inspect_exit_code(const Status& status) {
  const bool split =
      status.code() == StatusCode::kOutOfRange || status.code() == StatusCode::kNotFound;
  return split ? ExitCode::kSplitOutOfRange : model_exit_code(status);
}

ExitCode run_inspect(const InspectArguments& arguments) {
  const auto file = ModelFile::open(arguments.path, {.verify_segments = arguments.verify});
  if (!file.is_ok()) return fail(file.status(), model_exit_code(file.status()));
  InspectOptions options;
  if (arguments.memory) options.memory_of = arguments.split;
  const auto preference = parse_preference(arguments.prefer);
  if (!preference.is_ok()) return fail(preference.status(), ExitCode::kUsage);
  options.preference = *preference;
  const auto report = inspect_model(**file, options);
  if (!report.is_ok()) return fail(report.status(), inspect_exit_code(report.status()));
  const std::string text = arguments.json     ? report_json(*report) + "\n"
                           : arguments.memory ? memory_text(*report)
                                              : report_text(*report);
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0
             ? ExitCode::kOk
             : fail({StatusCode::kIo, "cannot write the report"}, ExitCode::kIo);
}

}  // namespace

Command add_inspect_command(CLI::App& app) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App& command =
      *app.add_subcommand("inspect", "Show layers, ops, cuts and their costs of a cleave model");
  command.footer(
      "\nmul-adds: of convolutions and fully connected ops, one picture. boundary: bytes that\n"
      "cross the link at this cut, f32, and the tensors they are. head: ops before the cut;\n"
      "its arena is the peak memory of activations, its weights are counted as stored; its\n"
      "memory is the arena, the weights ready to run on this CPU, and the boundary. An agent's\n"
      "peak is that and what the process takes besides (`cleave-agent plan` shows both).\n"
      "--memory: the arena while each op runs; with --json every tensor and workspace in it.\n"
      "\nExamples:\n"
      "  cleave-import inspect m.cleave\n"
      "  cleave-import inspect m.cleave --memory --split 5\n"
      "  cleave-import inspect m.cleave --prefer memory\n"
      "  cleave-import inspect m.cleave --verify --json\n"
      "\nExit codes: 0 shown; 2 flags; 3 no such file; 5 the model file does not check;\n"
      "9 no such split; "
      "11 reading or writing failed; 1 a bug.\n");
  command.add_option("FILE", arguments->path, "Model file")->required();
  command.add_flag("--json", arguments->json, "Print everything as one JSON object");
  CLI::Option& memory =
      *command.add_flag("--memory", arguments->memory, "Draw the arena of a head over time");
  command
      .add_option("--split", arguments->split,
                  "Head to draw: K layers, a layer's name, op:N, or all of the network")
      ->type_name("K|LAYER|op:N|all")
      ->capture_default_str()
      ->needs(&memory);
  command
      .add_option("--prefer", arguments->prefer,
                  "Whose memory is shown: that of runs that prefer memory, or speed")
      ->check(CLI::IsMember({"memory", "speed"}))
      ->capture_default_str();
  command.add_flag("--verify", arguments->verify, "Also hash all weights (reads the whole file)");
  return [arguments] { return run_inspect(*arguments); };
}

}  // namespace cleave::importer
