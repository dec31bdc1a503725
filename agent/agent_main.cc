// SPDX-License-Identifier: Apache-2.0
#include <netdb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "agent/codec_option.h"
#include "agent/commands.h"
#include "agent/delivery_options.h"

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
      "  cleave-agent doctor --model m.cleave --verify\n"
      "  cleave-agent fetch --name mobilenet_v2 --server 192.0.2.7:7433 --output models/v2\n"};
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
  add_caps_period_option(run, options.caps);
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
  run.add_option("--trace", options.trace,
                 "Write what each decision depended on to this file, for plan --replay");
  run.add_flag("--scores", options.scores, "Print every score as well");
  run.add_option("--top", options.top, "Answers shown per picture")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  add_delivery_options(run, options.delivery);
  run.add_option("--overlap", options.overlap,
                 "Pictures in work at a time: one is computed while others travel or are answered. "
                 "Further ones begin where --ram leaves room for what they hold; what plan says "
                 "of memory is of one")
      ->check(CLI::Range(1U, 16U))
      ->capture_default_str();
  run.add_option("--queue", options.queue, "Names from standard input that may wait for their turn")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
  run.add_option("--queue-full", options.queue_full,
                 "When they are more: block (standard input is not read on), or a picture is "
                 "dropped, told and counted")
      ->check(CLI::IsMember({"block", "drop-oldest", "drop-newest"}))
      ->capture_default_str();
  run.add_flag("--stats", options.stats,
               "At the end, a line of counters on standard error: connections and why they failed, "
               "what was sent, sent again, turned down, finished here, given up, came late or was "
               "dropped; with --json one JSON object");
  CLI::Option* const log =
      run.add_option("--log", options.log_path,
                     "Append a JSON line for each event to this file (-: standard error), with the "
                     "ids of agent and server of the request that it is about; not counted in "
                     "--write-budget")
          ->type_name("FILE");
  run.add_option("--log-level", options.log_level, "From which level on; debug: each request")
      ->needs(log)
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  run.footer(
      "Signals: SIGTERM and SIGINT end the run after the pictures in work, which takes --timeout "
      "at most; a second one ends it at once.\n"
      "Timeouts that are fixed: connecting 5 s, the handshake 10 s (TLS: as long again), 15 s "
      "without a byte while one is under way; while a request waits, a server that is silent for "
      "3 s is asked and after 6 s more given up; with --overlap above 1 one that is silent for "
      "three of its heartbeats is given up at any time.\n\n" +
      std::string(exit_code_help()));
  run.add_option("IMAGE", options.images,
                 "JPEG or PNG files, or folders of them; or -, for names from standard input, one "
                 "a line, as they come; with --spool there may be none, and only what waits is "
                 "tried again");

  CLI::App& plan = *app.add_subcommand("plan", "Show every split, the front and the choice");
  add_model_options(plan, options);
  add_plan_options(plan, options);
  add_cache_options(plan, options);
  plan.add_option("--bytes-at", options.bytes_at,
                  "Which of the sizes that were seen is counted of what is sent. median: the usual "
                  "picture's; p95: what 95 pictures in 100 stay within")
      ->check(CLI::IsMember({"median", "p95"}))
      ->capture_default_str();
  CLI::Option* what_if =
      plan.add_option(
              "--what-if", options.what_if,
              "Plan as if options had these values, as in bandwidth=2mbit,ram=64MiB, and show the "
              "choice without them as well")
          ->type_name("NAME=VALUE,...");
  CLI::Option* plot = plan.add_option("--plot", options.plot,
                                      "Draw the latency of every split and the front as SVG")
                          ->type_name("FILE");
  plan.add_option("--replay", options.replay,
                  "Take the decisions of a run's --trace again, without a network, and compare")
      ->excludes(what_if, plot, plan.get_option("--measure"));
  plan.add_option("IMAGE", options.images,
                  "JPEG or PNG files or folders: what the server-only forms cost is "
                  "measured on them (medians), else estimated");

  CLI::App& profile = *app.add_subcommand("profile", "Measure this device, per layer");
  add_model_options(profile, options);
  add_cap_options(profile, options.caps);
  add_cache_options(profile, options);
  profile.add_option("--runs", options.runs, "Runs to take the median of")
      ->check(CLI::Range(1U, 10'000U))
      ->default_val(15U);
  profile
      .add_option("--thread-counts", options.thread_counts,
                  "Measure with each of these, as in 1,2,4, into one table (default: --threads)")
      ->delimiter(',')
      ->check(CLI::Range(1U, 256U));
  profile.add_option(
      "IMAGE", options.images,
      "JPEG or PNG files or folders like those to come: the bytes of their JPEGs are kept in the "
      "table; all precisions that are measured classify each of them, to count on how many the "
      "best class is another than the first precision's (for --disagreement); and the codecs are "
      "tried on them (for --codec auto)");
  profile
      .add_option(
          "--codec-pictures", options.codec_pictures,
          "On how many of them, at most, the codecs are tried at every cut, which takes most "
          "of the time; 0: codecs are only timed")
      ->check(CLI::Range(0U, 1'000'000U))
      ->capture_default_str();
  add_jpeg_option(profile, options,
                  "Try JPEGs at model size of this quality, 1 to 100, on them too: beside 75, 90 "
                  "and 95");
  profile.add_option("--output", options.output, "Where to write (default: FILE.profile)");

  CLI::App& doctor = *app.add_subcommand("doctor", "Check this device and a model on it");
  add_model_options(doctor, options);
  add_cache_options(doctor, options);
  add_cap_options(doctor, options.caps);
  doctor.add_option("--profile", options.profile_path,
                    "Table of this device to look for (default: FILE.profile beside the model)");
  doctor.add_flag("--verify", options.verify,
                  "Read the whole model file and check the SHA-256 of every weight segment");

  CLI::App& fetch = *app.add_subcommand(
      "fetch", "Get a model from a server, or the part of it that this device may hold");
  add_fetch_options(fetch, options);

  CLI::App& update = *app.add_subcommand(
      "update", "Change a model folder to the server's current version, if its self-test passes");
  add_update_options(update, options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  pin_resolver();
  if (run.parsed()) return run_command(options);
  if (doctor.parsed()) return doctor_command(options);
  if (fetch.parsed()) return fetch_command(options);
  if (update.parsed()) return update_command(options);
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
