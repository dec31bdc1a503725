// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_run.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "tests/bench/contender.h"

namespace cleave::bench {
namespace {

constexpr double kNsPerMs = 1e6;

struct Entrant {
  std::vector<std::string> command;
  std::string log_path;
  ContenderResult result;
  std::unique_ptr<Contender> process;
};

Entrant make_entrant(const char* name, const std::string& model, const BenchFiles& files,
                     unsigned threads, const RunOptions& options) {
  Entrant entrant;
  entrant.result.name = name;
  entrant.log_path = options.folder + "/" + name + ".log";
  entrant.command = {model, files.input_path, std::to_string(threads)};
  return entrant;
}

std::vector<Entrant> make_entrants(const BenchFiles& files, unsigned threads,
                                   const RunOptions& options) {
  const auto entrant = [&](const char* name, const char* runner, const std::string& model) {
    Entrant made = make_entrant(name, model, files, threads, options);
    made.command.insert(made.command.begin(), options.runners + "/" + runner);
    return made;
  };
  std::vector<Entrant> entrants;
  const auto enter_ours = [&](const char* name, const std::string& cache,
                              const std::string& variant) {
    entrants.push_back(entrant(name, "bench_runner_cleave", files.model_path));
    entrants.back().command.push_back(cache);
    entrants.back().command.push_back(variant);
  };
  enter_ours(kOurs, "", files.variants[0]);
  enter_ours(kOursCached, options.folder + "/cache", files.variants[0]);
  for (std::size_t i = 1; i < files.variants.size(); ++i) {
    if (files.variants[i] == "f16") enter_ours(kOursF16, "", "f16");
    if (files.variants[i] == "int8") enter_ours(kOursInt8, "", "int8");
  }
  if (!files.onnx_path.empty()) {
    Entrant ort = entrant(kOnnxRuntime, "bench_runner_ort", files.onnx_path);
    for (const std::string& word :
         {files.input_name, files.output_name, std::to_string(files.input.height()),
          std::to_string(files.input.width()), std::to_string(files.input.channels())}) {
      ort.command.push_back(word);
    }
    entrants.push_back(std::move(ort));
  }
  entrants.push_back(entrant(kXnnpack, "bench_runner_xnnpack", files.model_path));
  return entrants;
}

Status start(Entrant& entrant) {
  if (entrant.process != nullptr) CLEAVE_RETURN_IF_ERROR(entrant.process->finish());
  entrant.process.reset();
  auto started = Contender::start(entrant.command, entrant.log_path);
  if (started.status().code() == StatusCode::kUnsupported && !is_ours(entrant.result.name)) {
    entrant.result.absent = started.status().message();
    return Status::ok();
  }
  CLEAVE_RETURN_IF_ERROR(started.status());
  entrant.process = std::move(started).value();
  const FirstAnswer& first = entrant.process->first_answer();
  entrant.result.start_ms.push_back(static_cast<double>(first.start_ns) / kNsPerMs);
  entrant.result.text = first.text;
  entrant.result.scores = first.scores;
  entrant.process->wait_until_idle();
  return Status::ok();
}

Status fill_cache(const Entrant& cached) {
  CLEAVE_ASSIGN_OR_RETURN(const auto process, Contender::start(cached.command, cached.log_path));
  return process->finish();
}

Status run_once(Entrant& entrant, bool counts) {
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t ns, entrant.process->run());
  if (counts) entrant.result.run_ms.push_back(static_cast<double>(ns) / kNsPerMs);
  entrant.process->wait_until_idle();
  return Status::ok();
}

// Calls f for every entrant that takes part; another one begins each round.
template <typename F>
Status for_each_rotated(std::vector<Entrant>& entrants, unsigned rounds, F f) {
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < entrants.size(); ++i) {
      Entrant& entrant = entrants[(round + i) % entrants.size()];
      if (entrant.result.absent.empty()) CLEAVE_RETURN_IF_ERROR(f(entrant, round));
    }
  }
  return Status::ok();
}

Status finish(Entrant& entrant) {
  CLEAVE_ASSIGN_OR_RETURN(entrant.result.peak_rss_bytes, entrant.process->peak_rss_bytes());
  return entrant.process->finish();
}

}  // namespace

Result<CaseResult> run_case(const BenchFiles& files, unsigned threads, const RunOptions& options) {
  CLEAVE_RETURN_IF_ERROR(warm_pages(files));
  std::vector<Entrant> entrants = make_entrants(files, threads, options);
  CLEAVE_RETURN_IF_ERROR(fill_cache(entrants[1]));
  CLEAVE_RETURN_IF_ERROR(
      for_each_rotated(entrants, options.starts, [](Entrant& e, unsigned) { return start(e); }));
  CLEAVE_RETURN_IF_ERROR(for_each_rotated(
      entrants, options.warmup + options.runs,
      [&](Entrant& e, unsigned round) { return run_once(e, round >= options.warmup); }));
  CLEAVE_RETURN_IF_ERROR(
      for_each_rotated(entrants, 1, [](Entrant& e, unsigned) { return finish(e); }));
  CaseResult result{files.name, threads, files.input, {}};
  for (Entrant& entrant : entrants) result.contenders.push_back(std::move(entrant.result));
  return result;
}

}  // namespace cleave::bench
