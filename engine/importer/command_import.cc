// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/importer/commands.h"
#include "engine/importer/import_options.h"

namespace cleave::importer {
namespace {

constexpr const char* kExamples =
    "\nPreprocessing: a picture is cropped, resized to the network's input, and each channel\n"
    "becomes (pixel - mean) / std, with pixels 0..255. Flags win over what the source says.\n"
    "\nExamples:\n"
    "  cleave-import import mobilenet_v2.tflite mobilenet_v2.cleave --mean 127.5 --std 127.5 \\\n"
    "      --labels imagenet_labels.txt\n"
    "  cleave-import import resnet18.onnx resnet18.cleave --mean01 0.485,0.456,0.406 \\\n"
    "      --std01 0.229,0.224,0.225 --crop center:0.875        (torchvision)\n"
    "  cleave-import import teachable/model.json mine.cleave --mean 127.5 --std 127.5 \\\n"
    "      --crop center --labels labels.txt                     (Teachable Machine)\n"
    "\nExit codes: 0 written; 2 flags; 3 no such file or folder; 4 the source cannot be used;\n"
    "11 reading or writing failed; 1 a bug.\n";

struct ImportArguments {
  std::string source, destination, self_test_picture;
  ImportOptions options;
  VariantOptions variants;
  bool json = false;
};

void add_preprocessing_flags(CLI::App& command, ImportOptions& options) {
  const char* group = "Preprocessing";
  auto* mean =
      command.add_option("--mean", options.mean, "Mean per channel or one for all, 0..255")
          ->delimiter(',')
          ->type_name("A[,B,C]")
          ->group(group);
  command.add_option("--mean01", options.mean01, "The same in units of 0..1 (torchvision)")
      ->delimiter(',')
      ->type_name("A[,B,C]")
      ->excludes(mean)
      ->group(group);
  auto* deviation =
      command
          .add_option("--std", options.deviation, "Deviation per channel or one for all, 0..255")
          ->delimiter(',')
          ->type_name("A[,B,C]")
          ->group(group);
  auto* deviation01 =
      command.add_option("--std01", options.deviation01, "The same in units of 0..1 (torchvision)")
          ->delimiter(',')
          ->type_name("A[,B,C]")
          ->excludes(deviation)
          ->group(group);
  command.add_option("--scale", options.scale, "Factor after the mean instead of --std: 1 / std")
      ->type_name("S")
      ->excludes(deviation)
      ->excludes(deviation01)
      ->group(group);
  command.add_option("--color", options.color, "Channel order: rgb, bgr or gray")
      ->type_name("ORDER")
      ->group(group);
  command
      .add_option("--crop", options.crop,
                  "none (whole picture squeezed to the input), center (largest square), or\n"
                  "center:FRACTION of the shorter side")
      ->type_name("CROP")
      ->group(group);
}

ExitCode run_import(const ImportArguments& arguments) {
  auto graph = read_source(arguments.source);
  if (!graph.is_ok()) return fail(graph.status(), exit_code_of(graph.status()));
  const Status applied = apply_options(arguments.options, *graph);
  if (!applied.is_ok()) return fail(applied, exit_code_of(applied));
  if (preprocessing_unknown(*graph)) {
    std::fprintf(stderr,
                 "cleave-import: warning: %s does not say how pixels become inputs, so they stay "
                 "0..255; if it was trained otherwise, give --mean and --std\n",
                 arguments.source.c_str());
  }
  return write_model(std::move(*graph), arguments.variants, arguments.destination,
                     arguments.self_test_picture, arguments.json);
}

}  // namespace

Command add_import_command(CLI::App& app) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App& command =
      *app.add_subcommand("import", "Make a cleave model of an ONNX, TFLite or TF.js layers model");
  command.footer(kExamples);
  command
      .add_option("IN", arguments->source, "Source model: .onnx, .tflite, model.json or its folder")
      ->required();
  command.add_option("OUT", arguments->destination, "Model file to write")->required();
  ImportOptions& options = arguments->options;
  command.add_option("--name", options.name, "Name of the model (default: the source's)");
  command.add_option("--labels", options.labels_path, "Text file with one label per output line");
  command.add_option("--licence", options.licence, "Licence of the weights");
  command.add_option("--self-test", arguments->self_test_picture,
                     "Picture to keep with its scores, for `cleave-agent doctor`");
  add_preprocessing_flags(command, options);
  add_variant_flags(command, arguments->variants);
  command.add_flag("--json", arguments->json, "Print what was written as JSON");
  return [arguments] { return run_import(*arguments); };
}

}  // namespace cleave::importer
