// SPDX-License-Identifier: Apache-2.0
#include <netdb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "agent/commands.h"

#ifdef CLEAVE_STATIC_AGENT
// A static binary cannot load the name-service modules that the machine's configuration may name;
// files and DNS are linked in. (glibc has it, no header declares it.)
extern "C" int __nss_configure_lookup(const char* database, const char* services);
#endif

namespace cleave::agent {
namespace {

void pin_resolver() {
#ifdef CLEAVE_STATIC_AGENT
  __nss_configure_lookup("hosts", "files dns");
#endif
}

int run(int argc, char** argv) {
  CLI::App app{
      "cleave-agent: classifies pictures with a network that is split between this device and a "
      "server.\n\n"
      "  cleave-agent run --model m.cleave --server 192.0.2.7:7433 photo.jpg\n"
      "  cleave-agent profile --model m.cleave\n"
      "  cleave-agent plan --model m.cleave --server 192.0.2.7:7433 --bandwidth 2mbit\n"
      "  cleave-agent doctor --model m.cleave --verify\n"};
  app.require_subcommand(1);
  app.footer(std::string(exit_code_help()));
  app.fallthrough();
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "",
                 "Read options from a file: [run] sections of `name = value` lines");
  CommandOptions options;

  CLI::App& run = *app.add_subcommand("run", "Classify pictures");
  add_model_options(run, options);
  add_plan_options(run, options);
  add_cache_options(run, options);
  run.add_option("--split", options.split,
                 "Where to cut: K layers on the device, a layer's name, op:N, all, or auto")
      ->type_name("K|LAYER|op:N|all|auto")
      ->capture_default_str();
  run.add_option("--timeout", options.timeout,
                 "Longest wait for the server's answer, from the start of each picture (units ns, "
                 "us, ms, s); then the device answers, if the caps allow. A slow link needs more: "
                 "600 kB take 75 s at 64kbit. A planned split that is expected to take longer is "
                 "not tried")
      ->type_name("TIME")
      ->capture_default_str();
  run.add_flag("--scores", options.scores, "Print every score as well");
  run.add_option("--top", options.top, "Answers shown per picture")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  run.add_option("IMAGE", options.images, "JPEG or PNG files, or folders of them")->required();

  CLI::App& plan = *app.add_subcommand("plan", "Show every split, the front and the choice");
  add_model_options(plan, options);
  add_plan_options(plan, options);
  add_cache_options(plan, options);
  plan.add_option("IMAGE", options.images,
                  "JPEG or PNG files or folders: what the server-only forms cost is "
                  "measured on them (medians), else estimated");

  CLI::App& profile = *app.add_subcommand("profile", "Measure this device, per layer");
  add_model_options(profile, options);
  add_cache_options(profile, options);
  profile.add_option("--runs", options.runs, "Runs to take the median of")
      ->check(CLI::Range(1U, 10'000U))
      ->default_val(15U);
  profile.add_option("--output", options.output, "Where to write (default: FILE.profile)");

  CLI::App& doctor = *app.add_subcommand("doctor", "Check this device and a model on it");
  add_model_options(doctor, options);
  add_cache_options(doctor, options);
  add_cap_options(doctor, options);
  doctor.add_option("--profile", options.profile_path,
                    "Table of this device to look for (default: FILE.profile beside the model)");
  doctor.add_flag("--verify", options.verify,
                  "Read the whole model file and check the SHA-256 of every weight segment");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  pin_resolver();
  if (run.parsed()) return run_command(options);
  if (doctor.parsed()) return doctor_command(options);
  return plan.parsed() ? plan_command(options) : profile_command(options);
}

}  // namespace
}  // namespace cleave::agent

int main(int argc, char** argv) {
  try {
    return cleave::agent::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleave-agent: internal error: %s\n", error.what());
    return static_cast<int>(cleave::ExitCode::kInternal);
  }
}
