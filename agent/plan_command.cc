// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "agent/commands.h"
#include "agent/edge_profile.h"
#include "agent/picture_source.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

struct Plannable {
  planner::Link link;
  std::string link_source;
  std::string server_note;  // why no server is counted; empty when one is
  PictureCost picture;
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
  if (inputs.link.rtt_ns == 0) inputs.link.rtt_ns = connection.rtt_ns();
  if (!connection.server_profile()) {
    return {StatusCode::kMismatch, "the server sent no table of its times"};
  }
  return planner.set_server_profile(*connection.server_profile());
}

// What crosses at k = 0: the size of the picture named, else of u8 pixels at model size.
Status measure_picture(const CommandOptions& options, PictureCost& picture) {
  if (options.images.empty()) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(const auto names, list_pictures(options.images));
  CLEAVE_ASSIGN_OR_RETURN(const auto file, read_picture_file(names[0], PictureLimits{}));
  const auto format = detect_format(file);
  if (!format.is_ok()) return format.status().with_context(names[0]);
  picture = {*format == PictureFormat::kJpeg, file.size()};
  return Status::ok();
}

Json split_json(const PlannedSplit& row) {
  return {{"split", row.split.layers_on_device},
          {"layer", row.layer},
          {"op", row.split.op_boundary},
          {"edge_ns", row.candidate.edge_latency_ns},
          {"tx_ns", row.score.tx_ns},
          {"server_ns", row.candidate.needs_server ? row.candidate.server_latency_ns : 0},
          {"total_ns", row.score.latency_ns},
          {"bytes_up", row.candidate.needs_server ? row.candidate.boundary_bytes : 0},
          {"memory_bytes", row.candidate.edge_memory_bytes},
          {"ram_bytes", row.candidate.edge_ram_bytes},
          {"storage_bytes", row.candidate.edge_storage_bytes},
          {"feasible", row.score.broken == 0},
          {"broken", bounds_text(row.score.broken)},
          {"on_front", row.score.on_front}};
}

Json cap_json(const Cap& cap) {
  Json json{{"source", cap_source_name(cap.source)}};
  json["bytes"] = cap.source == CapSource::kUnknown ? Json(nullptr) : Json(cap.bytes);
  return json;
}

void print_json(const Plan& plan, const Device& device, const Plannable& inputs,
                const CommandOptions& options) {
  Json json{{"model", device.model->header().name()->str()},
            {"policy", options.policy},
            {"link",
             {{"bandwidth_bps", inputs.link.bandwidth_bps},
              {"rtt_ns", inputs.link.rtt_ns},
              {"server", inputs.link.available},
              {"source", inputs.link_source}}},
            {"caps",
             {{"ram", cap_json(device.caps.ram)},
              {"storage", cap_json(device.caps.storage)},
              {"min_split", options.min_split}}}};
  json["splits"] = Json::array();
  for (const PlannedSplit& row : plan.splits) json["splits"].push_back(split_json(row));
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
  json["choice"] = plan.chosen ? split_json(plan.splits[*plan.chosen]) : Json(nullptr);
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

void print_text(const Plan& plan, const Device& device, const Plannable& inputs) {
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
  std::printf("%s\n", plan.why.c_str());
}

Status gather(const CommandOptions& options, const Device& device, SplitPlanner& planner,
              Plannable& inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const GivenLink link, planner_link(options));
  inputs.link = link.link;
  inputs.link_source = link.given                     ? "given"
                       : options.uplink_limit.empty() ? "assumed"
                                                      : "the limit";
  CLEAVE_RETURN_IF_ERROR(measure_picture(options, inputs.picture));
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
  auto planner = SplitPlanner::create(*device->model, device->variant, device->overhead_bytes);
  if (!planner.is_ok()) return fail(ExitCode::kInternal, planner.status().message());
  auto request = planner_request(options);
  if (!request.is_ok()) return fail(ExitCode::kUsage, request.status().message());
  Plannable inputs;
  if (const Status status = gather(options, *device, *planner, inputs); !status.is_ok()) {
    return fail(exit_code_of(status), status.message());
  }
  const Plan plan =
      planner->decide(inputs.picture, inputs.link, planner_caps(*device, options), *request);
  options.json ? print_json(plan, *device, inputs, options) : print_text(plan, *device, inputs);
  if (const int code = finish_output(ExitCode::kOk); code != 0) return code;
  if (plan.chosen) return static_cast<int>(ExitCode::kOk);
  const bool only_server = plan.decision.broken == planner::kBoundServerAbsent;
  return fail(only_server ? ExitCode::kServerUnreachable : ExitCode::kCapTooSmall, plan.why);
}

}  // namespace cleave::agent
