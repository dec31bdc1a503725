// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "engine/importer/commands.h"

namespace {

using cleave::ExitCode;
using namespace cleave::importer;

ExitCode run(int argc, char** argv) {
  CLI::App app("Makes and shows cleave model files.", "cleave-import");
  app.require_subcommand(1);
  app.footer("\n`cleave-import COMMAND --help` shows the flags of a command.\n\n" +
             std::string(cleave::exit_code_help()));
  const std::vector<std::pair<std::string, Command>> commands = {
      {"import", add_import_command(app)},
      {"zoo", add_zoo_command(app)},
      {"inspect", add_inspect_command(app)},
      {"pixels", add_pixels_command(app)},
      {"calibrate-codec", add_calibrate_codec_command(app)}};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = app.exit(error) == 0;  // --help
    return asked ? ExitCode::kOk : ExitCode::kUsage;
  }
  for (const auto& [name, command] : commands) {
    if (app.got_subcommand(name)) return command();
  }
  return ExitCode::kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return static_cast<int>(run(argc, argv));
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "cleave-import: error: not enough memory for this model\n");
    return static_cast<int>(ExitCode::kIo);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleave-import: internal error: %s\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
