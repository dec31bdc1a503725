// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/baselines.h"
#include "agent/commands.h"
#include "agent/edge_profile.h"
#include "agent/picture_source.h"
#include "agent/pipeline.h"
#include "agent/record.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

struct Plannable {
  planner::Link link;
  std::string link_source;
  bool rtt_given = false;
  std::string server_note;  // why no server is counted; empty when one is
  PictureForms forms;
  std::uint64_t max_picture_bytes = UINT64_MAX;  // of the server; without one nothing is refused

  // A JPEG of the usual size goes as it is, if the server takes one so large.
  [[nodiscard]] PictureCost picture() const {
    const std::uint64_t bytes = forms.file_bytes.value_or(0);
    return {forms.file_bytes.has_value() && bytes <= max_picture_bytes, bytes};
  }
};

// Shakes hands with the server for its table and the round trip.
Status consult_server(const ConnectionOptions& remote, SplitPlanner& planner, Plannable& inputs) {
  asio::io_context io(1);
  Connection connection(io.get_executor(), remote);
  Status reached;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        reached = co_await connection.ensure_ready();
        co_await connection.close();
      },
      [](std::exception_ptr error) {
        if (error != nullptr) std::rethrow_exception(error);
      });
  io.run();
  if (reached.code() == StatusCode::kMismatch) return reached;
  inputs.link.available = reached.is_ok();
  if (!reached.is_ok()) {
    inputs.server_note = reached.message();
    return Status::ok();
  }
  if (!inputs.rtt_given) inputs.link.rtt_ns = connection.rtt_ns();
  inputs.max_picture_bytes = connection.max_picture_bytes();
  if (!connection.server_profile()) {
    return {StatusCode::kMismatch, "the server sent no table of its times"};
  }
  return planner.set_server_profile(*connection.server_profile());
}

// What may cross at k = 0: measured on the pictures named, else estimated.
Result<PictureForms> picture_forms(const CommandOptions& options, const Device& device) {
  const fbs::Model& model = device.model->header();
  const fbs::Variant& variant = *model.variants()->Get(device.variant);
  const fbs::Shape& input = *variant.tensors()->Get(variant.input())->shape();
  if (options.images.empty()) return estimate_forms(input);
  CLEAVE_ASSIGN_OR_RETURN(const auto names, list_pictures(options.images));
  return measure_forms(names, *model.preprocessing(), input);
}

Json sent_json(const PlannedSplit& row, const PictureCost& picture) {
  if (!row.candidate.needs_server) return nullptr;
  if (row.split.op_boundary > 0) return kSentTensors;
  return picture.is_jpeg ? kSentJpeg : kSentPixels;
}

const char* faster_when_name(FasterWhen when) {
  switch (when) {
    case FasterWhen::kAlways:
      return "always";
    case FasterWhen::kNever:
      return "never";
    case FasterWhen::kSame:
      return "same";
    case FasterWhen::kBelow:
      return "below";
    case FasterWhen::kAbove:
      return "above";
  }
  return "?";
}

bool has_bandwidth(const BreakEven& even) {
  return even.when == FasterWhen::kBelow || even.when == FasterWhen::kAbove;
}

Json baseline_json(const Baseline& baseline) {
  Json json{{"name", baseline.name},
            {"bytes_up", baseline.bytes_up},
            {"bytes_source", baseline.bytes_source},
            {"over_server_limit", baseline.over_server_limit},
            {"edge_ns", baseline.edge_ns}};
  if (!baseline.times) return json;
  json["tx_ns"] = baseline.times->tx_ns;
  json["server_ns"] = baseline.times->server_ns;
  json["total_ns"] = baseline.times->total_ns;
  if (!baseline.times->choice) return json;
  const BreakEven& even = *baseline.times->choice;
  json["choice_is_faster"] = faster_when_name(even.when);
  json["break_even_bps"] = has_bandwidth(even) ? Json(even.bandwidth_bps) : Json(nullptr);
  return json;
}

std::string break_even_text(const Baseline& baseline) {
  if (baseline.over_server_limit) return "over the server's limit";
  if (!baseline.times || !baseline.times->choice) return "";
  const BreakEven& even = *baseline.times->choice;
  if (even.when == FasterWhen::kSame) return "the same";
  if (!has_bandwidth(even)) return faster_when_name(even.when);
  char text[64];
  std::snprintf(text, sizeof(text), "%s %.3f Mbit/s", faster_when_name(even.when),
                static_cast<double>(even.bandwidth_bps) / 1e6);
  return text;
}

void print_baselines(const std::vector<Baseline>& baselines, const PictureForms& forms) {
  std::printf("\nTo beat (%s)\n%-42s %11s %9s %9s %9s %9s  %s\n",
              forms.pictures > 0 ? "medians of the pictures given"
                                 : "no picture given: the JPEG's bytes are an estimate",
              "", "bytes up", "edge ms", "tx ms", "server ms", "total ms", "the choice is faster");
  for (const Baseline& baseline : baselines) {
    const std::string bytes = (std::string_view(baseline.bytes_source) == "estimated" ? "~" : "") +
                              std::to_string(baseline.bytes_up);
    std::printf("%-42s %11s %9.2f", baseline.description, bytes.c_str(),
                static_cast<double>(baseline.edge_ns) / 1e6);
    if (baseline.times) {
      std::printf(" %9.2f %9.2f %9.2f", static_cast<double>(baseline.times->tx_ns) / 1e6,
                  static_cast<double>(baseline.times->server_ns) / 1e6,
                  static_cast<double>(baseline.times->total_ns) / 1e6);
    } else {
      std::printf(" %9s %9s %9s", "-", "-", "-");
    }
    std::printf("  %s\n", break_even_text(baseline).c_str());
  }
}

// `file_bytes`: of the largest picture, held beside everything else.
Json split_json(const PlannedSplit& row, const PictureCost& picture, std::uint64_t file_bytes) {
  return {{"split", row.split.layers_on_device},
          {"layer", row.layer},
          {"op", row.split.op_boundary},
          {"edge_ns", row.candidate.edge_latency_ns},
          {"tx_ns", row.score.tx_ns},
          {"server_ns", row.candidate.needs_server ? row.candidate.server_latency_ns : 0},
          {"total_ns", row.score.latency_ns},
          {"bytes_up", row.candidate.needs_server ? row.candidate.boundary_bytes : 0},
          {"sent", sent_json(row, picture)},
          {"memory_bytes", row.candidate.edge_memory_bytes},
          {"ram_bytes", row.candidate.edge_ram_bytes + file_bytes},
          {"storage_bytes", row.candidate.edge_storage_bytes},
          {"feasible", row.score.broken == 0},
          {"broken", bounds_text(row.score.broken)},
          {"on_front", row.score.on_front}};
}

void print_json(const Plan& plan, const Device& device, const Plannable& inputs,
                const std::vector<Baseline>& baselines, const CommandOptions& options) {
  Json json{{"model", device.model->header().name()->str()},
            {"policy", options.policy},
            {"prefer", preference_name(options.preference)},
            {"link",
             {{"bandwidth_bps", inputs.link.bandwidth_bps},
              {"rtt_ns", inputs.link.rtt_ns},
              {"server", inputs.link.available},
              {"source", inputs.link_source}}},
            {"caps",
             {{"ram", cap_json(device.caps.ram)},
              {"storage", cap_json(device.caps.storage)},
              {"min_split", options.min_split}}},
            {"ram",  // ram_bytes of a split is these and its memory_bytes
             {{"overhead_bytes", device.overhead_bytes},
              {"picture_bytes", inputs.forms.pixel_bytes + inputs.forms.largest_file_bytes}}}};
  json["splits"] = Json::array();
  for (const PlannedSplit& row : plan.splits) {
    json["splits"].push_back(split_json(row, inputs.picture(), inputs.forms.largest_file_bytes));
  }
  json["front"] = Json::array();
  for (const std::size_t index : plan.front) {
    json["front"].push_back({{"split", plan.splits[index].split.layers_on_device},
                             {"latency_ns", plan.splits[index].score.latency_ns},
                             {"memory_bytes", plan.splits[index].score.memory_bytes}});
  }
  if (plan.decision.front_size > 0) {
    json["ideal"] = {{"latency_ns", plan.decision.ideal.latency_ns},
                     {"memory_bytes", plan.decision.ideal.memory_bytes}};
    json["nadir"] = {{"latency_ns", plan.decision.nadir.latency_ns},
                     {"memory_bytes", plan.decision.nadir.memory_bytes}};
  }
  json["baselines"] = Json::array();
  for (const Baseline& baseline : baselines) json["baselines"].push_back(baseline_json(baseline));
  json["choice"] = plan.chosen ? split_json(plan.splits[*plan.chosen], inputs.picture(),
                                            inputs.forms.largest_file_bytes)
                               : Json(nullptr);
  json["why"] = plan.why;
  if (!inputs.server_note.empty()) json["server_note"] = inputs.server_note;
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

std::string mark(const Plan& plan, std::size_t index) {
  if (plan.chosen == index) return "chosen";
  const PlannedSplit& row = plan.splits[index];
  if (row.score.broken != 0) return "over " + bounds_text(row.score.broken);
  return row.score.on_front ? "on the front" : "";
}

void print_text(const Plan& plan, const Device& device, const Plannable& inputs,
                const std::vector<Baseline>& baselines) {
  std::printf("%s, uplink %.2f Mbit/s (%s), round trip %.2f ms\n",
              device.model->header().name()->c_str(),
              static_cast<double>(inputs.link.bandwidth_bps) / 1e6, inputs.link_source.c_str(),
              static_cast<double>(inputs.link.rtt_ns) / 1e6);
  if (!inputs.server_note.empty()) std::printf("no server: %s\n", inputs.server_note.c_str());
  std::printf("%5s  %-26s %9s %9s %9s %9s %11s %9s\n", "split", "layer", "edge ms", "tx ms",
              "server ms", "total ms", "bytes up", "MiB");
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const PlannedSplit& row = plan.splits[i];
    const bool remote = row.candidate.needs_server;
    if (remote && !inputs.link.available) {
      std::printf("%5u  %-26s %9.2f %9s %9s %9s %11s %9.2f  %s\n", row.split.layers_on_device,
                  row.layer.c_str(), static_cast<double>(row.candidate.edge_latency_ns) / 1e6, "-",
                  "-", "-", "-", static_cast<double>(row.candidate.edge_memory_bytes) / 1048576,
                  mark(plan, i).c_str());
      continue;
    }
    std::printf("%5u  %-26s %9.2f %9.2f %9.2f %9.2f %11llu %9.2f  %s\n", row.split.layers_on_device,
                row.layer.c_str(), static_cast<double>(row.candidate.edge_latency_ns) / 1e6,
                static_cast<double>(row.score.tx_ns) / 1e6,
                remote ? static_cast<double>(row.candidate.server_latency_ns) / 1e6 : 0.0,
                static_cast<double>(row.score.latency_ns) / 1e6,
                remote ? static_cast<unsigned long long>(row.candidate.boundary_bytes) : 0ULL,
                static_cast<double>(row.candidate.edge_memory_bytes) / 1048576,
                mark(plan, i).c_str());
  }
  std::printf("%s\nsplit 0 sends %s\n", plan.why.c_str(),
              inputs.picture().is_jpeg ? "the file as it is" : "u8 pixels at model size");
  print_baselines(baselines, inputs.forms);
}

Status gather(const CommandOptions& options, const Device& device, SplitPlanner& planner,
              Plannable& inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const GivenLink link, planner_link(options));
  inputs.link = link.link;
  inputs.rtt_given = link.rtt_given;
  inputs.link_source = link.given                     ? "given"
                       : options.uplink_limit.empty() ? "assumed"
                                                      : "the limit";
  CLEAVE_ASSIGN_OR_RETURN(inputs.forms, picture_forms(options, device));
  CLEAVE_ASSIGN_OR_RETURN(const ProfileData profile, edge_profile_for(options, device));
  CLEAVE_RETURN_IF_ERROR(planner.set_edge_profile(profile));
  CLEAVE_ASSIGN_OR_RETURN(const auto remote, connection_options(options, device));
  if (!remote) {
    inputs.server_note = "none was given; name one with --server";
    return Status::ok();
  }
  return consult_server(*remote, planner, inputs);
}

}  // namespace

int plan_command(const CommandOptions& options) {
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  auto planner = SplitPlanner::create(*device->model, device->variant, device->overhead_bytes,
                                      device->cache != nullptr, options.preference);
  if (!planner.is_ok()) return fail(ExitCode::kInternal, planner.status().message());
  auto request = planner_request(options);
  if (!request.is_ok()) return fail(ExitCode::kUsage, request.status().message());
  Plannable inputs;
  if (const Status status = gather(options, *device, *planner, inputs); !status.is_ok()) {
    return fail(exit_code_of(status), status.message());
  }
  warn_of_cache(*device);
  planner::Caps caps = planner_caps(*device, options);
  caps.ram_bytes -= std::min(caps.ram_bytes, inputs.forms.largest_file_bytes);
  const Plan plan = planner->decide(inputs.picture(), inputs.link, caps, *request);
  const std::vector<Baseline> baselines =
      list_baselines(*planner, plan, inputs.forms, inputs.link, inputs.max_picture_bytes);
  options.json ? print_json(plan, *device, inputs, baselines, options)
               : print_text(plan, *device, inputs, baselines);
  if (const int code = finish_output(ExitCode::kOk); code != 0) return code;
  if (plan.chosen) return static_cast<int>(ExitCode::kOk);
  if (!only_server_is_missing(plan, request->policy)) return fail(ExitCode::kCapTooSmall, plan.why);
  return fail(ExitCode::kServerUnreachable, inputs.server_note + "; " + plan.why);
}

}  // namespace cleave::agent
