// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/commands.h"

#include <CLI/CLI.hpp>

namespace cleave::importer {

void add_variant_flags(CLI::App& command, VariantOptions& options) {
  const char* group = "Precisions";
  command.add_flag("--f16", options.f16, "Add variant f16: weights of half the bytes")
      ->group(group);
  auto* int8 = command.add_flag("--int8", options.int8,
                                "Add variant int8: a quarter of the bytes, and faster");
  int8->group(group);
  command
      .add_option("--calibrate", options.calibration_folder,
                  "Folder of pictures like those to come, to choose the int8 scales by (a source\n"
                  "that was quantized itself brings its own; without either they are guessed)")
      ->type_name("DIR")
      ->needs(int8)
      ->group(group);
  command.add_flag("--no-f32{false}", options.f32, "Leave variant f32 out; needs --f16 or --int8")
      ->group(group);
}

}  // namespace cleave::importer
