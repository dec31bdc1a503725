// SPDX-License-Identifier: Apache-2.0
#include "agent/command_options.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "agent/code_pages.h"
#include "agent/codec_option.h"
#include "agent/disagreement.h"
#include "agent/model_parts.h"
#include "engine/executor.h"
#include "planner/link_estimator.h"

namespace cleave::agent {
namespace {

// What a run takes after the start besides the memory of its head: its code, which is given back
// before, the connection, names and output. Which pages of code come back differs from run to run;
// with this value what was said was between 0.9 MB too high and 0.9 MB too low on x86.
constexpr std::uint64_t kLaterOverheadBytes = 2496 << 10;

// What OpenSSL takes from its start to the end of the first handshake, most of it pages of the
// program's file.
constexpr std::uint64_t kTlsOverheadBytes = 3'328 << 10;

// The server's floor: 1000 bytes a second over a whole attachment.
constexpr std::uint64_t kSlowestUplinkBitsPerSecond = 8'000;

Result<std::uint64_t> uplink_limit(const std::string& text) {
  auto bits = parse_bits_per_second(text);
  if (bits.is_ok() && *bits < kSlowestUplinkBitsPerSecond) {
    return Status(StatusCode::kInvalidArgument, "at least 8kbit: a server gives up on less");
  }
  return bits;
}

std::shared_ptr<WeightCacheFolder> open_cache(const CommandOptions& options) {
  if (options.no_cache) return nullptr;
  const auto path = options.cache_path.empty() ? default_weight_cache_path() : options.cache_path;
  if (!path) return nullptr;
  auto cache = WeightCacheFolder::open({.path = *path, .limit_bytes = options.cache_limit_bytes});
  if (cache.is_ok()) return std::move(cache).value();
  std::fprintf(stderr, "cleave-agent: the weight cache is not used: %s\n",
               cache.status().message().c_str());
  return nullptr;
}

}  // namespace

void add_model_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--model", options.model_path, "Model file, as cleave-import writes it")
      ->required()
      ->type_name("FILE");
  command.add_option("--variant", options.variant, "Precision to run, by its name in the file");
  command.add_option("--threads", options.threads, "Threads of one computation")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--prefer",
          [&options](const std::string& text) {
            if (const auto parsed = parse_preference(text); parsed.is_ok()) {
              options.preference = *parsed;
            }
          },
          "speed: the fastest form of every op; memory: the smaller one where there is a choice, "
          "at the price of time. A profile holds for one of them")
      ->check(CLI::IsMember({"memory", "speed"}))
      ->default_str("speed");
  command.add_flag("--json", options.json, "Machine-readable output");
}

void add_cache_options(CLI::App& command, CommandOptions& options) {
  auto* const path =
      command
          .add_option(
              "--cache", options.cache_path,
              "Folder that keeps packed weights, so that the next start maps them (default: "
              "$XDG_CACHE_HOME/cleave/weights or ~/.cache/cleave/weights)")
          ->type_name("DIR");
  command.add_flag("--no-cache", options.no_cache, "Keep no packed weights")->excludes(path);
  command
      .add_option("--cache-limit", options.cache_limit_bytes,
                  "Most bytes in that folder: what was not used for longest goes first (default: "
                  "1GiB)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->type_name("SIZE");
}

void add_plan_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--server", options.server, "Server to share the work with")
      ->type_name("HOST:PORT");
  command.add_option("--device", options.device,
                     "Name this device gives itself (default: its certificate's, else the host's)");
  add_link_options(command, options);
  command
      .add_option(
          "--policy", options.policy,
          "lmos: a point of the latency-memory front; loa: least latency; eco: device only; "
          "sco: server only; rs: at random")
      ->check(CLI::IsMember({"lmos", "loa", "eco", "sco", "rs"}))
      ->capture_default_str();
  add_trade_options(command, options.trade);
  command
      .add_option(
          "--codec", options.codec,
          "How the tensors that cross the cut travel: raw: as they are; lossless: compressed, "
          "the same answers; f16, int8: half and a quarter of the bytes, and answers that may "
          "differ; coded: the fewest bytes, of a model that cleave-import calibrate-codec made, at "
          "its LEVEL (0, the closest, unless given); auto: chosen with the split, among those that "
          "keep to --disagreement (without it raw and lossless). Tensors to which it does not "
          "apply, and a server that does not decode it, get raw. jpeg:QUALITY: raw, and at split 0 "
          "as --jpeg-quality says")
      ->type_name("raw|lossless|f16|int8|coded[:LEVEL]|jpeg:QUALITY|auto")
      ->capture_default_str();
  add_jpeg_option(
      command, options,
      "At split 0 the picture may go as a JPEG at model size of this quality, 1 to 100, which "
      "changes some answers: with a --split of 0 it does, else where that is planned to pay. A "
      "server that does not take it gets the file or pixels. With --codec auto this quality and no "
      "other is looked at, and held to --disagreement (default: none; with --codec auto 75, 90 and "
      "95, as far as the profile has tried them)");
  command.add_option("--seed", options.seed, "Of --policy rs")->capture_default_str();
  command.add_option(
      "--profile", options.profile_path,
      "Table of this device (default: FILE.profile beside the model; without it times "
      "are computed from multiply-adds, cores and clock)");
  command.add_flag("--measure", options.measure,
                   "Without a profile, measure this device now instead, which takes a while");
  add_cap_options(command, options.caps);
  command
      .add_option("--min-split", options.min_split,
                  "Privacy floor: at least this many layers stay on the device")
      ->check(CLI::Range(0U, 65535U));
  command
      .add_option("--bandwidth", options.bandwidth,
                  "Uplink to plan with, as in 10mbit (default: estimated from transfers)")
      ->type_name("RATE");
  command
      .add_option("--rtt", options.rtt, "Round trip to plan with, as in 40ms (default: measured)")
      ->type_name("TIME");
  command
      .add_option("--uplink-limit", options.uplink_limit,
                  "Send no faster than this, as in 10mbit; at least 8kbit")
      ->type_name("RATE");
}

void add_jpeg_option(CLI::App& command, CommandOptions& options, const char* help) {
  command.add_option("--jpeg-quality", options.jpeg_quality, help)
      ->check(CLI::Range(1U, 100U))
      ->type_name("QUALITY");
}

void add_fetch_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--server", options.server, "Server that holds the model")
      ->required()
      ->type_name("HOST:PORT");
  auto* const name = command.add_option("--name", options.model_name,
                                        "Model to get, by its name: the server's current one");
  command
      .add_option("--model-id", options.model_id,
                  "Model to get, by its identity (64 digits, as `inspect` shows it)")
      ->excludes(name);
  command
      .add_option("--output", options.output,
                  "Model folder to get it into: made, or completed when it is there. --model takes "
                  "it like a model file")
      ->required()
      ->type_name("DIR");
  command
      .add_option(
          "--split", options.split,
          "What to hold: the weights of K layers, up to a layer's name, op:N, all (of every "
          "precision, unless --variant names one), or auto: as deep as --storage allows")
      ->type_name("K|LAYER|op:N|all|auto")
      ->capture_default_str();
  command.add_option("--variant", options.variant, "Precision to hold, by its name in the file");
  command
      .add_option("--storage", options.caps.storage,
                  "Most bytes that the folder, and the packed weights of a run, may take, as in "
                  "64MiB (default: what is free)")
      ->type_name("SIZE");
  command.add_flag("--no-cache", options.no_cache,
                   "Leave no room for packed weights: this device runs with --no-cache");
  command.add_option("--device", options.device,
                     "Name this device gives itself (default: its certificate's, else the host's)");
  add_link_options(command, options);
  command.add_flag("--json", options.json, "Machine-readable output");
}

void add_update_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--model", options.model_path, "Model folder, as `fetch` makes it")
      ->required()
      ->type_name("DIR");
  auto* const server =
      command.add_option("--server", options.server, "Server whose current version is taken")
          ->type_name("HOST:PORT");
  command
      .add_flag("--rollback", options.roll_back,
                "Go back to the version before, and refuse this one from now on")
      ->excludes(server);
  command.add_flag(
      "--retry-refused", options.retry_refused,
      "Try a version again whose self-test failed, or was begun twice and never ended");
  command
      .add_option("--storage", options.caps.storage,
                  "Most bytes that the folder may take, both versions counted (default: what is "
                  "free)")
      ->type_name("SIZE");
  command.add_option("--ram", options.caps.ram, "Most memory that the self-test may take")
      ->type_name("SIZE");
  command.add_option("--threads", options.threads, "Threads of the self-test")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  command.add_option("--device", options.device,
                     "Name this device gives itself (default: its certificate's, else the host's)");
  add_link_options(command, options);
  command.add_flag("--json", options.json, "Machine-readable output");
}

int fail(ExitCode code, const std::string& message) {
  std::fprintf(stderr, "cleave-agent: %s\n", message.c_str());
  return static_cast<int>(code);
}

int finish_output(ExitCode code) {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail(ExitCode::kIo, "cannot write to standard output");
  }
  return static_cast<int>(code);
}

ExitCode exit_code_of(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ExitCode::kOk;
    case StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case StatusCode::kCorrupt:
    case StatusCode::kUnsupported:
      return ExitCode::kCorruptModel;
    case StatusCode::kOutOfRange:
      return ExitCode::kSplitOutOfRange;
    case StatusCode::kResourceExhausted:
      return ExitCode::kCapTooSmall;
    case StatusCode::kMismatch:
      return ExitCode::kModelMismatch;
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
      return ExitCode::kServerUnreachable;
    case StatusCode::kIo:
      return ExitCode::kIo;
    case StatusCode::kInternal:
      return ExitCode::kInternal;
  }
  return ExitCode::kInternal;
}

Result<Device> open_device(const CommandOptions& options) {
  Device device;
  auto model = ModelFile::open(options.model_path);
  if (!model.is_ok()) return model.status();
  device.model = std::move(model).value();
  CLEAVE_ASSIGN_OR_RETURN(device.variant, pick_variant(*device.model, options.variant));
  // Planning makes XNNPACK ready, and that takes memory.
  const fbs::Variant& variant = *device.model->header().variants()->Get(device.variant);
  CLEAVE_RETURN_IF_ERROR(plan_arena_bytes(variant, {0, variant.ops()->size()}, 1).status());
  device.cache = open_cache(options);
  give_back_code_pages();
  device.overhead_bytes = resident_bytes() + kLaterOverheadBytes;
  if (options.tls.any()) device.overhead_bytes += kTlsOverheadBytes;
  CLEAVE_RETURN_IF_ERROR(detect_caps(options, device));
  return device;
}

Status detect_caps(const CommandOptions& options, Device& device) {
  CLEAVE_ASSIGN_OR_RETURN(const CapsOverrides overrides, read_overrides(options.caps));
  CLEAVE_ASSIGN_OR_RETURN(device.energy, read_energy(options.caps.energy));
  CLEAVE_ASSIGN_OR_RETURN(const auto period, caps_period(options.caps));
  const auto detect = [model = device.model, cache = device.cache, root = options.caps.sysfs_root,
                       overrides] { return current_caps(*model, cache.get(), root, overrides); };
  device.caps = detect();
  device.watch = std::make_shared<CapsWatch>(device.caps, detect, period);
  return Status::ok();
}

void warn_of_cache(const Device& device) {
  if (device.cache == nullptr || device.cache->status().is_ok()) return;
  std::fprintf(stderr, "cleave-agent: the weight cache was not filled: %s\n",
               device.cache->status().message().c_str());
}

nlohmann::ordered_json cache_json(const Device& device) {
  if (device.cache == nullptr) return nullptr;
  const WeightCacheUsage usage = device.cache->usage();
  const WeightCacheStats stats = device.cache->stats();
  return {{"folder", device.cache->path()}, {"files", usage.files},
          {"bytes", usage.bytes},           {"limit_bytes", device.cache->limit_bytes()},
          {"ops_mapped", stats.mapped},     {"ops_packed", stats.missing},
          {"files_refused", stats.refused}, {"files_written", stats.stored}};
}

planner::Caps planner_caps(const Device& device, const CommandOptions& options,
                           const Trade& trade) {
  planner::Caps caps = trade.bounds;
  caps.ram_bytes = device.caps.ram.bytes;
  caps.storage_bytes = device.caps.storage.bytes;
  caps.min_split = static_cast<std::uint16_t>(options.min_split);
  // A variant that is named is what the user wants; with auto the bound is for what codecs add.
  if (!options.variant.empty() && options.codec != kCodecAuto) caps.disagreement_ppm = UINT32_MAX;
  return caps;
}

Result<Trade> planner_trade(const CommandOptions& options, const Device& device) {
  static constexpr std::pair<const char*, planner::Policy> kPolicies[] = {
      {"lmos", planner::Policy::kLmos},
      {"loa", planner::Policy::kLatencyOnly},
      {"eco", planner::Policy::kEdgeOnly},
      {"sco", planner::Policy::kServerOnly},
      {"rs", planner::Policy::kRandom}};
  if (!options.variant.empty() && !options.trade.disagreement.empty() &&
      options.codec != kCodecAuto) {
    return Status(
        StatusCode::kInvalidArgument,
        "--disagreement chooses a precision and --variant names one: give one of them, or "
        "--codec auto as well, whose codecs it then bounds");
  }
  CLEAVE_ASSIGN_OR_RETURN(Trade trade, read_trade(options.trade, device.energy));
  for (const auto& [name, policy] : kPolicies) {
    if (options.policy == name) trade.request.policy = policy;
  }
  trade.request.seed = options.seed;
  return trade;
}

bool chooses_variant(const CommandOptions& options) {
  return !options.trade.disagreement.empty() && options.variant.empty();
}

Result<GivenLink> planner_link(const CommandOptions& options) {
  GivenLink given{.link = planner::LinkEstimator().link()};
  const bool from_limit = options.bandwidth.empty();
  const std::string& rate = from_limit ? options.uplink_limit : options.bandwidth;
  if (!rate.empty()) {
    auto bits = from_limit ? uplink_limit(rate) : parse_bits_per_second(rate);
    if (!bits.is_ok()) {
      return bits.status().with_context(from_limit ? "--uplink-limit" : "--bandwidth");
    }
    if (*bits == 0) return Status(StatusCode::kInvalidArgument, "a bandwidth of 0 carries nothing");
    given.link.bandwidth_bps = *bits;
    given.given = !options.bandwidth.empty();
  }
  if (!options.rtt.empty()) {
    auto rtt = parse_duration_ns(options.rtt);
    if (!rtt.is_ok()) return rtt.status().with_context("--rtt");
    given.link.rtt_ns = *rtt;
    given.rtt_given = true;
  }
  return given;
}

Result<ConnectionOptions> server_options(const CommandOptions& options) {
  ConnectionOptions connection;
  CLEAVE_ASSIGN_OR_RETURN(connection.server, parse_endpoint(options.server));
  if (connection.server.host.ends_with(".local")) {
    return Status(StatusCode::kInvalidArgument,
                  connection.server.host +
                      ": names of multicast DNS are not looked up; give the server's address");
  }
  CLEAVE_RETURN_IF_ERROR(secure_connection(options, connection));
  if (!options.uplink_limit.empty()) {
    auto bits = uplink_limit(options.uplink_limit);
    if (!bits.is_ok()) return bits.status().with_context("--uplink-limit");
    connection.uplink_bits_per_second = *bits;
  }
  connection.seed = std::random_device{}();
  return connection;
}

Result<std::optional<ConnectionOptions>> connection_options(const CommandOptions& options,
                                                            const Device& device) {
  if (options.server.empty()) return std::optional<ConnectionOptions>{};
  CLEAVE_ASSIGN_OR_RETURN(ConnectionOptions connection, server_options(options));
  connection.model_identity = device.model->identity();
  const fbs::Variant& variant = *device.model->header().variants()->Get(device.variant);
  connection.score_count = element_count(*variant.tensors()->Get(variant.output())->shape());
  return std::optional<ConnectionOptions>{connection};
}

Result<std::chrono::nanoseconds> request_timeout(const CommandOptions& options) {
  constexpr std::uint64_t kDayNs = 24ULL * 3600 * 1'000'000'000;
  const auto ns = parse_duration_ns(options.timeout);
  if (!ns.is_ok()) return ns.status().with_context("--timeout");
  if (*ns == 0 || *ns > kDayNs) {
    return Status(StatusCode::kInvalidArgument, "--timeout: more than 0, and at most a day");
  }
  return std::chrono::nanoseconds(*ns);
}

}  // namespace cleave::agent
