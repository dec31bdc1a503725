// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/importer/commands.h"
#include "engine/importer/model_pixels.h"
#include "schemas/atomic_file.h"

namespace cleave::importer {
namespace {

struct PixelsArguments {
  std::string model, picture, destination;
  bool json = false;
};

void print_summary(const PixelsArguments& arguments, const ModelFile& model) {
  const fbs::Shape& shape = input_shape(model);
  const char* color = fbs::EnumNameColorOrder(model.header().preprocessing()->color_order());
  if (arguments.json) {
    const nlohmann::ordered_json summary = {
        {"path", arguments.destination}, {"image", arguments.picture},   {"height", shape.height()},
        {"width", shape.width()},        {"channels", shape.channels()}, {"color", color}};
    // File names are bytes, JSON is UTF-8.
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", summary.dump(-1, ' ', false, replace).c_str());
  } else {
    std::printf("%s: %u x %u x %u, %s\n", arguments.destination.c_str(), shape.height(),
                shape.width(), shape.channels(), color);
  }
}

ExitCode run_pixels(const PixelsArguments& arguments) {
  const auto model = ModelFile::open(arguments.model);
  if (!model.is_ok()) return fail(model.status(), model_exit_code(model.status()));
  const auto pixels = model_pixels(**model, arguments.picture);
  if (!pixels.is_ok()) return fail(pixels.status(), exit_code_of(pixels.status()));
  const Status written =
      write_file_atomically(arguments.destination, std::as_bytes(std::span(*pixels)));
  if (!written.is_ok()) return fail(written, exit_code_of(written));
  print_summary(arguments, **model);
  return ExitCode::kOk;
}

}  // namespace

Command add_pixels_command(CLI::App& app) {
  auto arguments = std::make_shared<PixelsArguments>();
  CLI::App& command = *app.add_subcommand(
      "pixels", "Write what a model sees of a picture, to compare with other software");
  command.footer(
      "\nOUT gets one byte a value, height x width x channels in the model's color order, without\n"
      "a header: the picture after decoding, cropping and resizing. The network's input is\n"
      "(byte - mean) / std of it; `inspect` shows both.\n"
      "\nExample:\n"
      "  cleave-import pixels m.cleave photo.jpg photo.u8\n"
      "\nExit codes: 0 written; 2 flags, or a model that takes no pictures; 3 no such file;\n"
      "4 not a usable picture; 5 the model file does not check; 11 reading or writing failed;\n"
      "1 a bug.\n");
  command.add_option("MODEL", arguments->model, "Model file")->required();
  command.add_option("IMAGE", arguments->picture, "JPEG or PNG file")->required();
  command.add_option("OUT", arguments->destination, "File to write")->required();
  command.add_flag("--json", arguments->json, "Print what was written as JSON");
  return [arguments] { return run_pixels(*arguments); };
}

}  // namespace cleave::importer
