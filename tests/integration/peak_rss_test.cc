// SPDX-License-Identifier: Apache-2.0
//
// Memory is a contract: the peak resident memory of `cleave-agent run --split k` is what
// `cleave-agent plan` and `cleave-import inspect` said, within 5 % or 1 MiB, whichever is more; for
// a small picture and for one of 12 megapixels, in every precision, with either preference. Every
// measurement is of a fresh process.
// With CLEAVE_ALL_SPLITS=1 (label slow) for every k of every form, else for some.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/head_memory.h"
#include "tests/support/programs.h"
#include "tests/support/reclaim.h"

namespace cleave::test {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

// One way of running a network.
struct Form {
  std::string variant, prefer;
  std::set<unsigned> some_splits;  // that the short form of the test measures
  // What the device takes at most for a split that it is meant for; 0: nothing is promised.
  unsigned promised_split = 0;
  std::uint64_t promised_bytes = 0;  // with a small picture
};

struct Network {
  const char* name;
  std::vector<std::string> short_options, all_options;  // of `cleave-import zoo`
  std::vector<Form> forms;                              // whose variants are in the file
};

// Networks whose int8 form takes long to make have it in the long form only.
const Network kNetworks[] = {{"mobilenet_v2",
                              {"--f16", "--int8"},
                              {"--f16", "--int8"},
                              {{"f32", "speed", {0, 1, 4, 11, 19, 21}},
                               {"f32", "memory", {11}},
                               {"f16", "speed", {21}},
                               {"int8", "speed", {0, 4, 21}, 21, 14 * kMegabyte},
                               {"int8", "memory", {}}}},
                             {"alexnet",
                              {},
                              {"--f16", "--int8"},
                              {{"f32", "speed", {0, 2, 8, 15, 21}, 21, 285 * kMegabyte},
                               {"f32", "memory", {8}},
                               {"f16", "speed", {}},
                               {"int8", "speed", {}}}},
                             {"vgg16",
                              {},
                              {"--f16", "--int8"},
                              {{"f32", "speed", {2, 4, 9, 17, 38}, 17, 60 * kMegabyte},
                               {"f32", "memory", {4, 17}, 17, 60 * kMegabyte},
                               {"f16", "speed", {}, 17, 60 * kMegabyte},
                               {"int8", "speed", {}},
                               {"int8", "memory", {}, 17, 25 * kMegabyte}}}};

bool all_splits() { return std::getenv("CLEAVE_ALL_SPLITS") != nullptr; }

std::uint64_t own_rss_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

// Bytes of the head's memory by op boundary, as inspect says.
std::map<unsigned, std::uint64_t> inspected_heads(const std::string& model, const Form& form) {
  std::map<unsigned, std::uint64_t> heads;
  const nlohmann::json report = inspect(model, {"--prefer", form.prefer});
  CHECK(report.at("prefer") == form.prefer);
  for (const auto& variant : report.at("variants")) {
    if (variant.at("name") != form.variant) continue;
    for (const auto& cut : variant.at("cuts")) {
      heads[cut.at("op_boundary")] = cut.at("head_memory_bytes");
    }
  }
  return heads;
}

std::uint64_t peak_of_run(const std::string& model, const Form& form, unsigned split,
                          const RunningServer& server, const std::vector<std::string>& pictures) {
  std::vector<std::string> command{agent_program(), "run",
                                   "--model",       model,
                                   "--server",      server.address(),
                                   "--split",       std::to_string(split),
                                   "--variant",     form.variant,
                                   "--prefer",      form.prefer,
                                   "--overlap",     "1",  // what is said is of one picture
                                   "--json"};
  command.insert(command.end(), pictures.begin(), pictures.end());
  const Finished run = run_program(command);
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  REQUIRE(run.out.find("fallback") == std::string::npos);
  // A child starts from its parent's memory in the kernel's account.
  REQUIRE(own_rss_bytes() < run.peak_rss_bytes);
  return run.peak_rss_bytes;
}

// Never more than was said; less by no more than the tolerance, and `unused` bytes that were
// counted for what this run perhaps does not do. Pages that are reclaimed while it runs only make a
// peak smaller.
void check_peak(const std::string& what, std::uint64_t said, std::uint64_t unused,
                const std::function<std::uint64_t()>& measure) {
  const std::uint64_t tolerance = std::max<std::uint64_t>(said / 20, 1 << 20);
  const Verdict verdict = judge_residency([&] {
    const std::uint64_t peak = measure();
    std::printf("%s: said %9.3f MB, peak %9.3f MB, %+.3f MB\n", what.c_str(),
                static_cast<double>(said) / 1e6, static_cast<double>(peak) / 1e6,
                (static_cast<double>(peak) - static_cast<double>(said)) / 1e6);
    CHECK(peak <= said + tolerance);
    return peak + tolerance + unused >= said;
  });
  CHECK(verdict != Verdict::kFails);
  if (verdict == Verdict::kPagesWereReclaimed) {
    std::printf("%s: not judged, this machine is short of memory and reclaims pages\n",
                what.c_str());
  }
}

nlohmann::json plan_of(const std::string& model, const Form& form, const RunningServer& server,
                       const std::vector<std::string>& pictures) {
  const std::string profile = model + "." + form.prefer + ".profile";
  std::vector<std::string> command{"plan",           "--model",   model,        "--server",
                                   server.address(), "--variant", form.variant, "--prefer",
                                   form.prefer,      "--profile", profile,      "--json"};
  command.insert(command.end(), pictures.begin(), pictures.end());
  const AgentRun planned = run_agent(command);
  REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
  CHECK(planned.records.at(0).at("prefer") == form.prefer);
  return planned.records.at(0);
}

void check_form(const Network& network, const std::string& model, const Form& form,
                const RunningServer& server, const std::vector<std::string>& pictures,
                bool is_small) {
  const auto heads = inspected_heads(model, form);
  const nlohmann::json plan = plan_of(model, form, server, pictures);
  std::size_t measured = 0;
  const bool has_promise = is_small && form.promised_bytes > 0;
  bool promise_looked_at = !has_promise;
  std::set<unsigned> seen;
  for (const auto& row : plan.at("splits")) {
    const unsigned split = row.at("split");
    if (!seen.insert(split).second) continue;  // the other form of the picture at k = 0
    CAPTURE(split);
    const std::uint64_t said = row.at("ram_bytes");
    CHECK(row.at("memory_bytes") == heads.at(row.at("op").get<unsigned>()));
    CHECK(said == row.at("memory_bytes").get<std::uint64_t>() +
                      (row.at("op") == 0 ? kPictureOtherBytes : 0) +
                      plan.at("ram").at("overhead_bytes").get<std::uint64_t>() +
                      plan.at("ram").at("picture_bytes").get<std::uint64_t>());
    const bool promised = has_promise && split == form.promised_split;
    promise_looked_at = promise_looked_at || promised;
    if (promised) CHECK(said <= form.promised_bytes);
    if (!all_splits() && !form.some_splits.contains(split)) continue;
    const std::string what = std::string(network.name) + " " + form.variant + " " + form.prefer +
                             " split " + std::to_string(split);
    // A JPEG that travels as it is takes no pixels, no rows of a decoder and no code to compute
    // with, which split 0 counts for the pictures that do not.
    const std::uint64_t unused = split == 0 ? 512 << 10 : 0;
    check_peak(what, said, unused, [&] {
      std::uint64_t peak = peak_of_run(model, form, split, server, pictures);
      // What the kernel maps around the code that is used differs by what it has at hand: some
      // hundred kB from one run to the next.
      for (int again = 0; promised && peak > form.promised_bytes && again < 3; ++again) {
        peak = std::min(peak, peak_of_run(model, form, split, server, pictures));
      }
      if (promised) CHECK(peak <= form.promised_bytes);
      return peak;
    });
    ++measured;
  }
  CHECK(promise_looked_at);
  CHECK(measured == (all_splits() ? seen.size() : form.some_splits.size()));
}

void write_profile(const std::string& model, const std::string& prefer) {
  const AgentRun profiled =
      run_agent({"profile", "--model", model, "--runs", "1", "--prefer", prefer, "--output",
                 model + "." + prefer + ".profile", "--json"});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
}

}  // namespace

TEST_CASE("a run's peak resident memory is what plan and inspect said") {
  const Workshop workshop;
  const std::string small = workshop.jpeg("small.jpg", 1);
  const std::string large = workshop.jpeg("large.jpg", 2, {4000, 3000});
  for (const Network& network : kNetworks) {
    CAPTURE(network.name);
    const std::string model =
        workshop.zoo(network.name, all_splits() ? network.all_options : network.short_options);
    for (const char* prefer : {"speed", "memory"}) write_profile(model, prefer);
    const RunningServer server({model});
    for (const Form& form : network.forms) {
      CAPTURE(form.variant);
      CAPTURE(form.prefer);
      if (!all_splits() && form.some_splits.empty()) continue;
      check_form(network, model, form, server, {small}, true);
      if (!all_splits() && (form.variant != "f32" || form.prefer != "speed")) continue;
      check_form(network, model, form, server, {large}, false);
      // The second picture finds weights and arena in use.
      check_form(network, model, form, server, {large, small, large}, false);
    }
  }
}

}  // namespace cleave::test
