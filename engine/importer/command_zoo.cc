// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "engine/importer/commands.h"

namespace cleave::importer {
namespace {

struct ZooArguments {
  std::string name, destination;
  ZooOptions options;
  VariantOptions variants;
  bool json = false;
};

std::string footer() {
  std::string text = "\nNetworks:";
  for (const std::string& name : zoo_names()) text += " " + name;
  return text +
         "\nThe weights are seeded random numbers (He-normal): right for measuring time, memory\n"
         "and bytes, without meaning as answers. The same options give the same file anywhere.\n"
         "\nExample:\n"
         "  cleave-import zoo mobilenet_v2 m.cleave --input 160 --width 0.35\n"
         "\nExit codes: 0 written; 2 flags; 3 no such network or folder; 11 writing failed;\n"
         "1 a bug.\n";
}

ExitCode run_zoo(const ZooArguments& arguments) {
  auto graph = make_zoo_model(arguments.name, arguments.options);
  if (!graph.is_ok()) return fail(graph.status(), exit_code_of(graph.status()));
  return write_model(std::move(*graph), arguments.variants, arguments.destination, "",
                     arguments.json);
}

}  // namespace

Command add_zoo_command(CLI::App& app) {
  auto arguments = std::make_shared<ZooArguments>();
  CLI::App& command =
      *app.add_subcommand("zoo", "Make a network of the literature with seeded weights");
  command.footer(footer());
  command.add_option("NAME", arguments->name, "One of the networks below")->required();
  command.add_option("OUT", arguments->destination, "Model file to write")->required();
  ZooOptions& options = arguments->options;
  command.add_option("--input", options.input, "Height and width of the input in pixels")
      ->capture_default_str();
  command.add_option("--width", options.width, "Factor on the channels of a MobileNet")
      ->capture_default_str();
  command.add_option("--classes", options.classes, "Number of scores")->capture_default_str();
  command.add_option("--seed", options.seed, "Seed of the weights")->capture_default_str();
  add_variant_flags(command, arguments->variants);
  command.add_flag("--json", arguments->json, "Print what was written as JSON");
  return [arguments] { return run_zoo(*arguments); };
}

}  // namespace cleave::importer
