// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/code_pages.h"
#include "agent/codec_option.h"
#include "agent/commands.h"
#include "agent/decision_trace.h"
#include "agent/event_log.h"
#include "agent/picture_run.h"
#include "agent/pipeline.h"
#include "agent/plan_inputs.h"
#include "agent/prediction_error.h"
#include "agent/report.h"
#include "agent/run_inputs.h"
#include "agent/run_stats.h"
#include "agent/stop_signals.h"
#include "agent/wanted_codecs.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

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

// What --sync interval lets wait becomes durable in time also while nothing else happens.
asio::awaitable<void> keep_syncing(Delivery& delivery, asio::steady_timer& timer,
                                   const bool& over) {
  while (!over) {
    timer.expires_after(std::chrono::milliseconds(100));
    (void)co_await timer.async_wait(as_result);
    delivery.tick();
  }
}

std::string summary(const Ledger& ledger) {
  const LedgerCounts& counts = ledger.counts();
  std::string text = std::to_string(counts.answered) + " answered";
  if (ledger.spool_findings() != nullptr) {
    text += ", " + std::to_string(ledger.waiting()) + " wait in the spool";
  }
  if (const std::uint64_t activations = ledger.waiting_activations(); activations > 0) {
    text += " (" + std::to_string(activations) + " as activations)";
  }
  for (const auto& [reason, count] : counts.dropped) {
    text += ", " + std::to_string(count) + " dropped (" + reason + ")";
  }
  if (counts.unprotected > 0) {
    text += "; the spool could not take " + std::to_string(counts.unprotected);
  }
  return text;
}

void tell_if_any(std::uint64_t count, const char* what) {
  if (count == 0) return;
  std::fprintf(stderr, "cleave-agent: %llu %s\n", static_cast<unsigned long long>(count), what);
}

// What an earlier run left behind, where it did not end in order.
void tell_of_recovery(const Ledger& ledger) {
  const LedgerCounts& counts = ledger.counts();
  tell_if_any(counts.recovered, "pictures of an earlier run wait in the spool");
  tell_if_any(counts.spool_damaged_bytes,
              "bytes of the spool do not check, as after a power cut: what they were is lost");
  tell_if_any(counts.results_cut_bytes,
              "bytes at the end of the results do not check, as after a power cut: cut off");
  tell_if_any(counts.results_damaged_lines, "lines of the results do not check: left as they are");
  if (ledger.spool_findings() == nullptr) return;
  for (const std::string& why : ledger.spool_findings()->strange) {
    std::fprintf(stderr, "cleave-agent: left alone in the spool: %s\n", why.c_str());
  }
}

// The same for whoever reads the log alone.
void log_recovery(EventLog* log, const LedgerCounts& counts) {
  if (log == nullptr) return;
  std::vector<LogField> fields{{"recovered", counts.recovered},
                               {"already_ended", counts.already_ended}};
  bool is_damaged = false;
  for (const LedgerCounter& counter : kDamageCounters) {
    fields.emplace_back(counter.name, counts.*counter.value);
    is_damaged |= counts.*counter.value > 0;
  }
  log->write(is_damaged ? LogLevel::kWarn : LogLevel::kInfo, "recovered", fields);
}

// `met_stranger`: the server could not be asked, as whoever was there did not prove to be it, and
// nothing waits for another time.
int finish(const Tally& tally, bool met_stranger) {
  if (tally.output_broken)
    return fail(ExitCode::kIo, "cannot write the answers to standard output");
  if (!tally.delivery_broken.is_ok()) {
    return fail(ExitCode::kIo, tally.delivery_broken.message());
  }
  if (tally.failed == 0) return static_cast<int>(ExitCode::kOk);
  if (tally.answered > 0) return static_cast<int>(ExitCode::kPartial);
  const ExitCode code = picture_exit_code(tally.first_failure);
  const bool is_distrust = met_stranger && code == ExitCode::kServerUnreachable;
  return static_cast<int>(is_distrust ? ExitCode::kModelMismatch : code);
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
  if (!planner.holds(split.op_boundary)) {
    return {StatusCode::kNotFound, device.model->path() +
                                       " does not hold the weights of this split; `cleave-agent "
                                       "fetch --split` gets them, or choose a smaller --split"};
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

// `times` are of a planned run alone.
Status configure(const CommandOptions& options, const Device& device, const EdgeTimes& times,
                 SplitPlanner& planner, PipelineOptions& pipeline) {
  pipeline.variant = device.variant;
  pipeline.threads = options.threads;
  pipeline.overlap = options.overlap;
  CLEAVE_ASSIGN_OR_RETURN(const Trade trade, planner_trade(options, device));
  pipeline.caps = planner_caps(device, options, trade);
  pipeline.online.request = trade.request;
  pipeline.online.pick = trade.pick;
  pipeline.online.energy = trade.energy;
  pipeline.online.prices = trade.prices;
  pipeline.watch = device.watch;
  pipeline.weights = {.cache = device.cache, .preference = options.preference};
  CLEAVE_ASSIGN_OR_RETURN(const GivenLink link, planner_link(options));
  pipeline.online.initial_link = link.link;
  pipeline.online.keep_link = link.given;
  pipeline.online.keep_rtt = link.rtt_given;
  CLEAVE_ASSIGN_OR_RETURN(pipeline.timeout, request_timeout(options));
  if (options.split != "auto") {
    const auto split = parse_split(device.model->header(), device.variant, options.split);
    // A layer that is not there is a split that is not there; "not found" is for files.
    if (!split.is_ok()) return {StatusCode::kOutOfRange, split.status().message()};
    CLEAVE_RETURN_IF_ERROR(check_fixed_split(planner, *split, device, pipeline.caps));
    pipeline.fixed_split = *split;
    CLEAVE_ASSIGN_OR_RETURN(const auto jpeg, wanted_jpeg_quality(options));
    if (jpeg && split->op_boundary == 0 && planner.offers_model_jpeg(*jpeg)) {
      pipeline.codec = {.codec = fbs::Codec::JpegModelSize, .quality = *jpeg};
    }
    return Status::ok();
  }
  planner.add_overhead(times.kept_bytes);
  planner.set_device_speed(speed_now(device.caps.processor));
  return planner.set_edge_profile(times.table);
}

// What a planned run starts from. With --disagreement the variant is chosen here, one for all
// pictures: their answers can be compared.
Status settle_times(const CommandOptions& options, Device& device, EdgeTimes& times) {
  if (options.split != "auto") return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(times, plan_times(options, device));
  if (!chooses_variant(options)) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(device.variant, choose_variant(options, device, times));
  return Status::ok();
}

// `times` are of a planned run alone.
Status use_codecs(const CommandOptions& options, const Device& device, const EdgeTimes& times,
                  SplitPlanner& planner) {
  const ProfileData* profile = options.split == "auto" ? &times.table : nullptr;
  EncodeRates rates;
  if (profile != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(rates, encode_rates_to_plan(options, *device.model, device.variant,
                                                        profile, speed_now(device.caps.processor)));
  }
  CLEAVE_ASSIGN_OR_RETURN(const CutCodecs codecs,
                          codecs_to_plan(options, *device.model, device.variant, profile, &rates));
  return planner.use_codecs(codecs);
}

// Null when none is asked for.
Result<std::unique_ptr<DecisionTrace>> open_trace(const CommandOptions& options,
                                                  const Device& device, const SplitPlanner& planner,
                                                  const PipelineOptions& pipeline) {
  if (options.trace.empty()) return std::unique_ptr<DecisionTrace>();
  TraceStart start{.model_identity = device.model->identity(),
                   .variant = device.variant,
                   .overhead_bytes = planner.fixed_overhead_bytes(),
                   .has_weight_cache = device.cache != nullptr,
                   .preference = options.preference,
                   .codecs = planner.codecs(),
                   .table = planner.edge_table(),
                   .speed = planner.device_speed(),
                   .options = online_options(pipeline)};
  CLEAVE_ASSIGN_OR_RETURN(DecisionTrace trace, DecisionTrace::create(options.trace, start));
  return std::make_unique<DecisionTrace>(std::move(trace));
}

// Null where none is asked for.
Result<std::unique_ptr<EventLog>> open_log(const CommandOptions& options) {
  if (options.log_path.empty()) return std::unique_ptr<EventLog>();
  return EventLog::open(options.log_path, options.log_level);
}

void log_start(EventLog* log, const Device& device,
               const std::optional<ConnectionOptions>& remote) {
  log_event(log, LogLevel::kInfo, "started",
            {{"model", to_hex(device.model->identity())},
             {"server", remote ? to_string(remote->server) : std::string()},
             {"device", remote ? remote->device : std::string()}});
}

ExitCode delivery_exit_code(const Status& status) {
  return status.code() == StatusCode::kInvalidArgument ? ExitCode::kUsage : ExitCode::kIo;
}

void tell_counters(const CommandOptions& options, const NamedCounts& counters, EventLog* log) {
  if (options.stats && options.json) {
    std::fprintf(stderr, "%s\n", stats_json(counters).c_str());
  } else if (options.stats) {
    std::fprintf(stderr, "cleave-agent: stats: %s\n", stats_text(counters).c_str());
  }
  if (log == nullptr) return;
  std::vector<LogField> fields;
  for (const auto& [name, count] : counters) fields.emplace_back(name, count);
  log->write(LogLevel::kInfo, "counters", fields);
  if (!log->status().is_ok()) {
    std::fprintf(stderr, "cleave-agent: %s\n", log->status().message().c_str());
  }
}

// Until everything is accounted for. `delivery` may be null. Errors: results or spool
// could not be made durable, or standard input not be read.
Status run_all(asio::io_context& io, PictureRun& run, RunInputs& inputs, Delivery* delivery,
               StopSignals& signals) {
  asio::steady_timer sync_timer(io);
  bool over = false;
  Status fed;
  const auto rethrow = [](std::exception_ptr error) {
    if (error != nullptr) std::rethrow_exception(error);
  };
  const auto all = [&]() -> asio::awaitable<void> {
    co_await run.run(inputs.queue(), inputs.total());
    over = true;
    inputs.stop();
    sync_timer.cancel();
    signals.cancel();
  };
  const auto feed = [&]() -> asio::awaitable<void> { fed = co_await inputs.feed(); };
  asio::co_spawn(io, all, rethrow);
  asio::co_spawn(io, feed, rethrow);
  if (delivery != nullptr) {
    asio::co_spawn(
        io, [&] { return keep_syncing(*delivery, sync_timer, over); }, rethrow);
  }
  io.run();
  if (delivery == nullptr) return fed;
  std::fprintf(stderr, "cleave-agent: %s\n", summary(delivery->ledger()).c_str());
  const Status closed = delivery->close();
  return closed.is_ok() ? fed : closed;
}

// What can be said of the command line before anything is opened.
Status check_usage(const CommandOptions& options) {
  const bool is_planned = options.split == "auto";
  if (!is_planned && !options.trace.empty()) {
    return {StatusCode::kInvalidArgument, "--trace is of planned runs: with --split " +
                                              options.split +
                                              " nothing is decided; leave one of them out"};
  }
  if (!is_planned && chooses_variant(options)) {
    return {StatusCode::kInvalidArgument, "--disagreement is of planned runs: with --split " +
                                              options.split + " name a precision by --variant"};
  }
  if (options.images.empty() && options.delivery.spool.empty()) {
    return {StatusCode::kInvalidArgument, "no picture was named, and there is no --spool to drain"};
  }
  CLEAVE_RETURN_IF_ERROR(wanted_codec(options).status());
  return wanted_jpeg_quality(options).status();
}

}  // namespace

int run_command(const CommandOptions& options) {
  if (const Status usage = check_usage(options); !usage.is_ok()) {
    return fail(ExitCode::kUsage, usage.message());
  }
  // One heap for both threads: what one gives back, the other may take, as the plan counts it.
  (void)mallopt(M_ARENA_MAX, 1);
  auto opened_log = open_log(options);
  if (!opened_log.is_ok()) {
    return fail(exit_code_of(opened_log.status()), opened_log.status().message());
  }
  EventLog* const log = opened_log->get();
  asio::io_context io(1);  // the first: what has sockets and timers of it goes before it
  auto inputs = RunInputs::from(options);
  if (!inputs.is_ok()) {
    const bool usage = inputs.status().code() == StatusCode::kInvalidArgument;
    return fail(usage ? ExitCode::kUsage : picture_exit_code(inputs.status()),
                inputs.status().message());
  }
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  auto remote = connection_options(options, *device);
  if (!remote.is_ok()) return fail(exit_code_of(remote.status()), remote.status().message());
  if (*remote) {
    (*remote)->log = log;
    (*remote)->heartbeats = options.overlap > 1;  // else the link's thread computes as well
  }
  EdgeTimes times;
  if (const Status status = settle_times(options, *device, times); !status.is_ok()) {
    return fail(exit_code_of(status), status.message());
  }
  auto planner = SplitPlanner::create(*device->model, device->variant, device->overhead_bytes,
                                      device->cache != nullptr, options.preference);
  if (!planner.is_ok()) return fail(ExitCode::kInternal, planner.status().message());
  PipelineOptions pipeline_options;
  if (*remote) {
    if (const Status status = use_codecs(options, *device, times, *planner); !status.is_ok()) {
      return fail(exit_code_of(status), status.message());
    }
    pipeline_options.codec = wanted_codec(options)->value_or(CodecChoice{});
  }
  if (Status status = configure(options, *device, times, *planner, pipeline_options);
      !status.is_ok()) {
    return fail(exit_code_of(status), status.message());
  }
  auto trace = open_trace(options, *device, *planner, pipeline_options);
  if (!trace.is_ok()) return fail(ExitCode::kIo, trace.status().message());
  pipeline_options.trace = trace->get();
  pipeline_options.log = log;
  std::unique_ptr<Connection> connection;
  if (*remote) connection = std::make_unique<Connection>(io.get_executor(), **remote);
  std::function<void(const Dropped&)> told_of_drops = [](const Dropped& dropped) {
    std::fprintf(stderr, "cleave-agent: %s: dropped: %s\n", dropped.name.c_str(),
                 dropped.reason.c_str());
  };
  std::unique_ptr<Delivery> delivery;
  if (options.delivery.any()) {
    auto opened = Delivery::open(options.delivery, device->model->identity(),
                                 [&](const Dropped& dropped) { told_of_drops(dropped); });
    if (!opened.is_ok())
      return fail(delivery_exit_code(opened.status()), opened.status().message());
    delivery = std::move(opened).value();
    pipeline_options.accept = [&](const std::string& image, std::span<const std::byte> file) {
      return delivery->accept(image, file);
    };
    pipeline_options.offers_activations = delivery->keeps_activations();
    tell_of_recovery(delivery->ledger());
  }
  Pipeline pipeline(io.get_executor(), device->model, pipeline_options, &*planner,
                    connection.get());
  const ReportOptions report{options.json, options.scores, options.top};
  PictureRun run(io.get_executor(), options.overlap, pipeline, connection.get(), delivery.get(),
                 device->model->header(), report, *device->watch, log);
  told_of_drops = [&run](const Dropped& dropped) { run.note_dropped(dropped); };
  inputs->open(io.get_executor(), [&](const std::string& image) {
    if (delivery != nullptr) {
      delivery->drop_unread(image);
    } else {
      run.note_dropped({.request_id = 0, .name = image, .reason = kDroppedQueueFull});
    }
  });
  give_back_code_pages();
  // Held to the end of the program: what is still to be written then must not be cut off either.
  StopSignals signals(io, run, log);
  log_start(log, *device, *remote);
  if (delivery != nullptr) log_recovery(log, delivery->ledger().counts());
  const Status closed = run_all(io, run, *inputs, delivery.get(), signals);
  RunFigures figures = run_figures(pipeline, connection.get(), delivery.get(), run.tally());
  figures.queue_drops = inputs->queue().dropped();
  tell_counters(options, run_counters(figures), log);
  if (!closed.is_ok()) return fail(ExitCode::kIo, closed.message());
  warn_of_cache(*device);
  if (*trace != nullptr) {
    if (const Status written = (*trace)->finish(); !written.is_ok()) {
      return fail(ExitCode::kIo, written.message());
    }
  }
  const bool met_stranger = connection != nullptr && !connection->stranger().empty();
  return finish(run.tally(), met_stranger && options.delivery.spool.empty());
}

}  // namespace cleave::agent
