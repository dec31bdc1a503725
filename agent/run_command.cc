// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "agent/commands.h"
#include "agent/picture_source.h"
#include "agent/pipeline.h"
#include "agent/report.h"

namespace cleave::agent {
namespace {

// What the run ends with: the first failure decides the exit code when nothing was answered.
struct Tally {
  std::size_t answered = 0;
  std::size_t failed = 0;
  Status first_failure;
  bool output_broken = false;
};

ExitCode picture_exit_code(const Status& status) {
  switch (status.code()) {
    case StatusCode::kCorrupt:
    case StatusCode::kUnsupported:
    case StatusCode::kOutOfRange:
    case StatusCode::kInvalidArgument:
      return ExitCode::kBadInput;
    default:
      return exit_code_of(status);
  }
}

asio::awaitable<void> process_all(Pipeline& pipeline, Connection* connection,
                                  const std::vector<std::string>& pictures, const fbs::Model& model,
                                  const ReportOptions& report, Tally& tally) {
  ProgressBar progress(pictures.size());
  Status mismatch;  // the other model will not appear by waiting: every further picture ends so too
  for (const std::string& picture : pictures) {
    const bool hopeless = !mismatch.is_ok();
    Record record;
    if (hopeless) {
      record.image = picture;
      record.status = mismatch;
    } else {
      record = co_await pipeline.process(picture);
    }
    if (record.status.code() == StatusCode::kMismatch) mismatch = record.status;
    record.status.is_ok() ? ++tally.answered : ++tally.failed;
    if (!record.status.is_ok() && tally.first_failure.is_ok()) tally.first_failure = record.status;
    const std::string text = report.json ? record_json(record, model, report) + "\n"
                                         : record_text(record, model, report);
    progress.clear();
    const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    if (!record.status.is_ok() && !hopeless) {
      std::fprintf(stderr, "cleave-agent: %s\n", record.status.message().c_str());
    }
    progress.advance();
    if (!written) {
      tally.output_broken = true;
      break;
    }
  }
  if (connection != nullptr) co_await connection->close();
}

int finish(const Tally& tally) {
  if (tally.output_broken)
    return fail(ExitCode::kIo, "cannot write the answers to standard output");
  if (tally.failed == 0) return static_cast<int>(ExitCode::kOk);
  if (tally.answered > 0) return static_cast<int>(ExitCode::kPartial);
  return static_cast<int>(picture_exit_code(tally.first_failure));
}

// Whether the fixed split keeps the bounds; a plan checks that by itself.
Status check_fixed_split(const SplitPlanner& planner, const Split& split, const Device& device,
                         const planner::Caps& caps) {
  const planner::CutCost& cost = planner.cost_at(split.op_boundary);
  const auto over = [](const char* what, std::uint64_t needed, std::uint64_t cap, CapSource source,
                       const char* advice = "") {
    return Status(StatusCode::kResourceExhausted,
                  "this split needs " + std::to_string(needed) + " bytes of " + what +
                      " and the cap is " + std::to_string(cap) + " (" + cap_source_name(source) +
                      "); choose a smaller --split, or --split auto" + advice);
  };
  if (cost.edge_ram_bytes > caps.ram_bytes) {
    return over("memory", cost.edge_ram_bytes, caps.ram_bytes, device.caps.ram.source);
  }
  if (cost.edge_storage_bytes > caps.storage_bytes) {
    return over("storage", cost.edge_storage_bytes, caps.storage_bytes, device.caps.storage.source,
                device.cache == nullptr ? "" : ", or --no-cache, which keeps no packed weights");
  }
  if (split.layers_on_device < caps.min_split) {
    return {StatusCode::kResourceExhausted, "--split " + std::to_string(split.layers_on_device) +
                                                " is below --min-split " +
                                                std::to_string(caps.min_split)};
  }
  return Status::ok();
}

Status configure(const CommandOptions& options, const Device& device, SplitPlanner& planner,
                 PipelineOptions& pipeline) {
  pipeline.variant = device.variant;
  pipeline.threads = options.threads;
  pipeline.caps = planner_caps(device, options);
  pipeline.weights = {.cache = device.cache, .preference = options.preference};
  CLEAVE_ASSIGN_OR_RETURN(const GivenLink link, planner_link(options));
  pipeline.initial_link = link.link;
  pipeline.keep_link = link.given;
  pipeline.keep_rtt = link.rtt_given;
  CLEAVE_ASSIGN_OR_RETURN(pipeline.timeout, request_timeout(options));
  if (options.split != "auto") {
    const auto split = parse_split(device.model->header(), device.variant, options.split);
    // A layer that is not there is a split that is not there; "not found" is for files.
    if (!split.is_ok()) return {StatusCode::kOutOfRange, split.status().message()};
    CLEAVE_RETURN_IF_ERROR(check_fixed_split(planner, *split, device, pipeline.caps));
    pipeline.fixed_split = *split;
    return Status::ok();
  }
  CLEAVE_ASSIGN_OR_RETURN(pipeline.request, planner_request(options));
  CLEAVE_ASSIGN_OR_RETURN(const ProfileData profile, edge_profile_for(options, device));
  return planner.set_edge_profile(profile);
}

}  // namespace

int run_command(const CommandOptions& options) {
  auto pictures = list_pictures(options.images);
  if (!pictures.is_ok()) {
    return fail(picture_exit_code(pictures.status()), pictures.status().message());
  }
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  auto planner = SplitPlanner::create(*device->model, device->variant, device->overhead_bytes,
                                      device->cache != nullptr, options.preference);
  if (!planner.is_ok()) return fail(ExitCode::kInternal, planner.status().message());

  auto remote = connection_options(options, *device);
  if (!remote.is_ok()) return fail(ExitCode::kUsage, remote.status().message());
  PipelineOptions pipeline_options;
  if (Status status = configure(options, *device, *planner, pipeline_options); !status.is_ok()) {
    return fail(exit_code_of(status), status.message());
  }
  asio::io_context io(1);
  std::unique_ptr<Connection> connection;
  if (*remote) connection = std::make_unique<Connection>(io.get_executor(), **remote);
  Pipeline pipeline(device->model, pipeline_options, &*planner, connection.get());
  Tally tally;
  const ReportOptions report{options.json, options.scores, options.top};
  asio::co_spawn(
      io,
      process_all(pipeline, connection.get(), *pictures, device->model->header(), report, tally),
      [](std::exception_ptr error) {
        if (error != nullptr) std::rethrow_exception(error);
      });
  io.run();
  warn_of_cache(*device);
  return finish(tally);
}

}  // namespace cleave::agent
