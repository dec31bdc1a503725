// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/caps_report.h"
#include "agent/commands.h"
#include "agent/edge_profile.h"
#include "agent/self_test.h"
#include "engine/executor.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

struct Findings {
  std::string profile_path;
  std::optional<VariantProfile> profile;            // of this model, variant, processor and threads
  std::uint32_t profile_clock_khz = 0;              // at which it was measured; 0: not known
  std::string no_profile;                           // why there is none
  std::optional<Status> segments;                   // only with --verify
  std::optional<Result<SelfTestResult>> self_test;  // only when the file has one
};

void look_for_profile(const CommandOptions& options, const Device& device, Findings& findings) {
  findings.profile_path = options.profile_path.empty() ? default_profile_path(options.model_path)
                                                       : options.profile_path;
  const auto profile =
      load_profile(findings.profile_path, *device.model, options.threads, options.preference);
  if (!profile.is_ok()) {
    findings.no_profile = profile.status().message();
    return;
  }
  findings.profile_clock_khz = profile->clock_khz;
  const std::string variant = device.model->header().variants()->Get(device.variant)->name()->str();
  for (const VariantProfile& table : profile->variants) {
    if (table.variant == variant) findings.profile = table;
  }
  if (!findings.profile) {
    findings.no_profile = findings.profile_path + " has no table of variant " + variant;
  }
}

Findings examine(const CommandOptions& options, const Device& device) {
  Findings findings;
  look_for_profile(options, device, findings);
  if (options.verify) findings.segments = device.model->verify_segments();
  if (device.model->header().self_test() != nullptr) {
    findings.self_test =
        run_self_test(device.model, options.threads, device.caps.ram.bytes / 4, options.preference);
  }
  return findings;
}

bool scores_are_wrong(const Findings& findings) {
  return findings.self_test && findings.self_test->is_ok() && !(*findings.self_test)->passed();
}

// A damaged file comes first: it explains wrong scores, too.
ExitCode exit_code(const Findings& findings) {
  if (findings.segments && !findings.segments->is_ok()) return exit_code_of(*findings.segments);
  if (findings.self_test && !findings.self_test->is_ok()) {
    return exit_code_of(findings.self_test->status());
  }
  return scores_are_wrong(findings) ? ExitCode::kSelfTestFailed : ExitCode::kOk;
}

std::string complaint(const CommandOptions& options, const Findings& findings) {
  const std::string file = options.model_path + ": ";
  if (findings.segments && !findings.segments->is_ok()) {
    return file + findings.segments->message();
  }
  if (!findings.self_test->is_ok()) return file + findings.self_test->status().message();
  return file + "the self-test gives other scores on this machine than the file states" +
         (findings.segments ? "; the file is whole, so report this processor and kernel set"
                            : "; run again with --verify to see whether the file is damaged");
}

std::uint32_t segment_count(const fbs::Model& model) {
  return model.segments() == nullptr ? 0 : model.segments()->size();
}

std::uint64_t total_ns(const VariantProfile& profile) {
  std::uint64_t sum = 0;
  for (const std::uint64_t ns : profile.op_median_ns) sum += ns;
  return sum;
}

Json model_json(const Device& device) {
  const fbs::Model& model = device.model->header();
  Json json{{"name", model.name()->str()},
            {"file", device.model->path()},
            {"identity", to_hex(device.model->identity())},
            {"file_bytes", device.model->file_bytes()},
            {"layers", model.layers()->size()},
            {"variant", model.variants()->Get(device.variant)->name()->str()}};
  for (const fbs::Variant* variant : *model.variants()) {
    json["variants"].push_back(variant->name()->str());
  }
  return json;
}

Json caps_json(const DeviceCaps& caps) {
  Json json{{"ram", cap_json(caps.ram)}, {"storage", cap_json(caps.storage)}};
  json["ram_bounds"] = Json::array();
  for (const Cap& bound : caps.ram_bounds) json["ram_bounds"].push_back(cap_json(bound));
  return json;
}

Json profile_json(const Findings& findings) {
  Json json{{"file", findings.profile_path}, {"found", findings.profile.has_value()}};
  if (!findings.profile) {
    json["why"] = findings.no_profile;
    return json;
  }
  json["variant"] = findings.profile->variant;
  json["threads"] = findings.profile->threads;
  json["runs"] = findings.profile->runs;
  json["total_ns"] = total_ns(*findings.profile);
  json["clock_khz"] =
      findings.profile_clock_khz == 0 ? Json(nullptr) : Json(findings.profile_clock_khz);
  return json;
}

Json weights_json(const Device& device, const Findings& findings) {
  Json json{{"segments", segment_count(device.model->header())},
            {"verified", findings.segments.has_value()}};
  if (!findings.segments) return json;
  json["ok"] = findings.segments->is_ok();
  if (!findings.segments->is_ok()) json["error"] = findings.segments->message();
  return json;
}

// JSON has no infinity and no NaN.
Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json self_test_json(const Findings& findings) {
  Json json{{"present", findings.self_test.has_value()}};
  if (!findings.self_test) return json;
  if (!findings.self_test->is_ok()) {
    json["ok"] = false;
    json["error"] = findings.self_test->status().message();
    return json;
  }
  const SelfTestResult& test = **findings.self_test;
  json["ok"] = test.passed();
  json["variant"] = test.variant;
  json["scores"] = test.scores;
  json["tolerance"] = test.tolerance;
  json["max_difference"] = number_json(test.max_difference);
  json["worst"] = {{"index", test.worst_index},
                   {"expected", test.worst_expected},
                   {"computed", number_json(test.worst_computed)}};
  json["elapsed_ns"] = test.elapsed_ns;
  return json;
}

void print_json(const CommandOptions& options, const Device& device, const Findings& findings) {
  const ExitCode code = exit_code(findings);
  const Json json{{"ok", code == ExitCode::kOk},
                  {"exit_code", static_cast<int>(code)},
                  {"processor", processor_name()},
                  {"cores", device.caps.processor.usable_cores},
                  {"kernels", kernel_set_name()},
                  {"prefer", preference_name(options.preference)},
                  {"threads", options.threads},
                  {"caps", caps_json(device.caps)},
                  {"state", processor_json(device.caps.processor)},
                  {"energy", energy_json(device.energy)},
                  {"weight_cache", cache_json(device)},
                  {"model", model_json(device)},
                  {"profile", profile_json(findings)},
                  {"weights", weights_json(device, findings)},
                  {"self_test", self_test_json(findings)}};
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

std::string cache_text(const Device& device) {
  if (device.cache == nullptr) return "none: weights are packed at every start";
  const WeightCacheUsage usage = device.cache->usage();
  return device.cache->path() + ": " + std::to_string(usage.files) + " files, " +
         mebibytes_text(usage.bytes) + " of " + mebibytes_text(device.cache->limit_bytes());
}

std::string profile_text(const Findings& findings) {
  if (!findings.profile) return "none: " + findings.no_profile;
  char text[128];
  std::snprintf(text, sizeof(text), ": %.2f ms for the whole network, %u threads, median of %u",
                static_cast<double>(total_ns(*findings.profile)) / 1e6, findings.profile->threads,
                findings.profile->runs);
  return findings.profile_path + text + ", at a clock of " + clock_text(findings.profile_clock_khz);
}

std::string weights_text(const Device& device, const Findings& findings) {
  const std::string segments = std::to_string(segment_count(device.model->header())) + " segments";
  if (!findings.segments) return segments + ", not read (--verify checks every SHA-256)";
  if (findings.segments->is_ok()) return segments + ", every SHA-256 is right";
  return "DAMAGED: " + findings.segments->message();
}

std::string self_test_text(const Findings& findings) {
  if (!findings.self_test) {
    return "none in this file; `cleave-import import --self-test PICTURE` keeps one";
  }
  if (!findings.self_test->is_ok()) {
    return "CANNOT BE RUN: " + findings.self_test->status().message();
  }
  const SelfTestResult& test = **findings.self_test;
  char text[256];
  std::snprintf(text, sizeof(text),
                ": variant %s, %zu scores, greatest difference %.3g where %.3g is allowed (score "
                "%zu: %.7g here, %.7g in the file)",
                test.variant.c_str(), test.scores, test.max_difference,
                static_cast<double>(test.tolerance), test.worst_index,
                static_cast<double>(test.worst_computed), static_cast<double>(test.worst_expected));
  return (test.passed() ? "passed" : "FAILED") + std::string(text);
}

void print_text(const CommandOptions& options, const Device& device, const Findings& findings) {
  const auto line = [](const char* name, const std::string& text) {
    std::printf("%-11s %s\n", name, text.c_str());
  };
  const fbs::Model& model = device.model->header();
  line("processor", processor_name());
  line("kernels", std::string(kernel_set_name()) + ", run with " + std::to_string(options.threads) +
                      (options.threads == 1 ? " thread" : " threads") + ", preferring " +
                      preference_name(options.preference));
  const ProcessorState& processor = device.caps.processor;
  line("cores", cores_text(processor));
  line("clock", clock_state_text(processor));
  line("temperature", zones_text(processor));
  line("throttling", throttle_state_text(processor));
  line("memory", ram_text(device.caps));
  line("storage", cap_text(device.caps.storage));
  line("energy", energy_text(device.energy));
  line("cache", cache_text(device));
  line("model", model.name()->str() + ", " + std::to_string(model.layers()->size()) + " layers, " +
                    mebibytes_text(device.model->file_bytes()) + ", identity " +
                    to_hex(device.model->identity()));
  line("profile", profile_text(findings));
  line("weights", weights_text(device, findings));
  line("self-test", self_test_text(findings));
}

}  // namespace

int doctor_command(const CommandOptions& options) {
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  const Findings findings = examine(options, *device);
  options.json ? print_json(options, *device, findings) : print_text(options, *device, findings);
  const int written = finish_output(ExitCode::kOk);
  if (written != 0) return written;
  const ExitCode code = exit_code(findings);
  return code == ExitCode::kOk ? 0 : fail(code, complaint(options, findings));
}

}  // namespace cleave::agent
