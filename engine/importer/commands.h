// SPDX-License-Identifier: Apache-2.0
//
// The commands of cleave-import. Each adds its flags to the command line, and gives what is to be
// run once that is read.
#pragma once

#include <functional>
#include <string>

#include "engine/importer/graph.h"
#include "engine/importer/importer.h"
#include "engine/importer/variants.h"
#include "schemas/exit_code.h"
#include "schemas/status.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cleave::importer {

// Runs one command; prints its own results on standard output, errors on standard error.
using Command = std::function<ExitCode()>;

Command add_import_command(CLI::App& app);
Command add_zoo_command(CLI::App& app);
Command add_inspect_command(CLI::App& app);
Command add_pixels_command(CLI::App& app);
Command add_calibrate_codec_command(CLI::App& app);

// Prints "cleave-import: error: <message>" and gives `code`.
ExitCode fail(const Status& status, ExitCode code);
// The code for an error about a source model or an option.
ExitCode exit_code_of(const Status& status);
// The code for an error about a cleave model file, when that is what the command works on.
ExitCode model_exit_code(const Status& status);

// Compiles `graph`, writes it to `path`, and prints what was written: a line, or JSON.
// `self_test_picture` may be empty.
ExitCode write_model(Graph graph, const VariantOptions& variants, const std::string& path,
                     const std::string& self_test_picture, bool json);

// --f16, --int8, --calibrate, --no-f32.
void add_variant_flags(CLI::App& command, VariantOptions& options);

}  // namespace cleave::importer
