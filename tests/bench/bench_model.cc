// SPDX-License-Identifier: Apache-2.0
//
// This engine, ONNX Runtime and XNNPACK's own runtime on the same weights, each in a process of its
// own, taking turns run by run. See tests/README.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench_files.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/bench_run.h"
#include "tests/support/temporary_folder.h"

namespace {

using namespace cleave;
using namespace cleave::bench;

constexpr int kOk = 0;
constexpr int kFailed = 1;  // wrong scores, or a contender that failed
constexpr int kUsage = 2;
constexpr int kSkipped = 77;

// Set by Control-C, which also ends the contenders: what is left to do is to remove the files.
volatile std::sig_atomic_t interrupted = 0;

struct Options {
  std::vector<std::string> models{"vgg16", "alexnet", "mobilenet_v2"};
  std::vector<unsigned> threads{1, 2};
  importer::ZooOptions zoo;
  bool f32_only = false;
  RunOptions run;
  bool json = false;
  bool smoke = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--model", options.models, "Networks of the zoo, or model files")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--input", options.zoo.input, "Side of a zoo network's input")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str();
  app.add_option("--width", options.zoo.width, "MobileNet's width")
      ->check(CLI::Range(0.1, 2.0))
      ->capture_default_str();
  app.add_flag("--f32-only", options.f32_only, "Leave f16 and int8 out of a zoo network");
  app.add_option("--runs", options.run.runs, "Measured runs of each contender")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--warmup", options.run.warmup, "Runs before those")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--starts", options.run.starts, "Measured process starts of each contender")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON, with every figure");
  app.add_flag("--smoke", options.smoke,
               "A small network and few runs: only shows that everything works");
}

// The numbers of threads that nobody asked for need CPUs; those that somebody did are tried.
void drop_threads_without_cpus(const CLI::App& app, Options& options) {
  if (app.count("--threads") > 0) return;
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  std::erase_if(options.threads, [&](unsigned threads) { return threads > processors; });
}

void apply_smoke(Options& options) {
  options.models = {"mobilenet_v2"};
  options.zoo.input = 96;
  options.zoo.width = 0.35;
  options.run.runs = 3;
  options.run.warmup = 1;
  options.run.starts = 1;
}

bool is_zoo_name(const std::string& name) {
  const std::vector<std::string> names = importer::zoo_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool needs_onnx_runtime(const Options& options) {
  return std::any_of(options.models.begin(), options.models.end(), is_zoo_name);
}

bool have_onnx_runtime() {
  const char* path = std::getenv("CLEAVE_ORT_LIBRARY");
  return path != nullptr && std::filesystem::exists(path);
}

// Where it is missing, a test skips (or fails, if it is said to be required) and a person is told.
int without_onnx_runtime(bool smoke) {
  const char* required = std::getenv("CLEAVE_REQUIRE_ORT");
  const bool skips = smoke && (required == nullptr || std::strcmp(required, "1") != 0);
  std::fprintf(skips ? stdout : stderr,
               "%s no ONNX Runtime: run \"bash tests/support/fetch_ort.sh\" and set "
               "CLEAVE_ORT_LIBRARY to the path that it prints\n",
               skips ? "skipped:" : "bench_model:");
  return skips ? kSkipped : kUsage;
}

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

Result<BenchFiles> write_files(const std::string& model, const Options& options,
                               const std::string& folder) {
  if (is_zoo_name(model)) return write_zoo_files(model, options.zoo, !options.f32_only, folder);
  if (std::filesystem::exists(model)) return write_input_for(model, folder);
  std::string known;
  for (const std::string& name : importer::zoo_names()) known += " " + name;
  return Status(StatusCode::kNotFound, "neither a file nor a network of the zoo:" + known);
}

Status run_model(const std::string& model, const Options& options,
                 std::vector<CaseResult>& results) {
  const test::TemporaryFolder folder;  // of its own: a VGG's two files are a gigabyte
  CLEAVE_ASSIGN_OR_RETURN(const BenchFiles files,
                          write_files(model, options, folder.path().string()));
  RunOptions run = options.run;
  run.folder = folder.path().string();
  for (const unsigned threads : options.threads) {
    CLEAVE_ASSIGN_OR_RETURN(CaseResult result, run_case(files, threads, run));
    const std::string error = judge(result).error;
    results.push_back(std::move(result));
    if (!error.empty()) return {StatusCode::kMismatch, error};
  }
  return Status::ok();
}

int run_all(const Options& options) {
  int code = kOk;
  std::vector<CaseResult> results;
  for (const std::string& model : options.models) {
    if (interrupted != 0) break;
    const Status status = run_model(model, options, results);
    if (status.is_ok()) continue;
    std::fprintf(stderr, "bench_model: %s: %s\n", model.c_str(), status.message().c_str());
    code = kFailed;
  }
  const Setup setup{processor_name(), std::thread::hardware_concurrency(), options.run};
  std::fputs((options.json ? to_json(setup, results) : to_table(setup, results)).c_str(), stdout);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares this engine with ONNX Runtime and the XNNPACK runtime.", "bench_model");
  app.footer("Exit codes: 0 done; 1 scores differ or a contender failed; 2 usage.");
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  drop_threads_without_cpus(app, options);
  if (options.smoke) apply_smoke(options);
  if (needs_onnx_runtime(options) && !have_onnx_runtime()) {
    return without_onnx_runtime(options.smoke);
  }
  signal(SIGINT, [](int) { interrupted = 1; });
  signal(SIGPIPE, SIG_IGN);  // a contender that died is noticed by the write
  options.run.runners = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  return run_all(options);
}
