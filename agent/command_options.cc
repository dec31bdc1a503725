// SPDX-License-Identifier: Apache-2.0
#include "agent/command_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "agent/edge_profile.h"
#include "engine/executor.h"
#include "planner/link_estimator.h"

namespace cleave::agent {
namespace {

// What a run takes after the start besides the memory of its head: the connection, names and
// output. 0.3 to 0.5 MB were seen on x86.
constexpr std::uint64_t kLaterOverheadBytes = 512 << 10;

// The server's floor: 1000 bytes a second over a whole attachment.
constexpr std::uint64_t kSlowestUplinkBitsPerSecond = 8'000;

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "agent";
  return name;
}

Result<std::uint32_t> pick_variant(const fbs::Model& model, const std::string& name) {
  std::string names;
  for (std::uint32_t i = 0; i < model.variants()->size(); ++i) {
    const fbs::Variant& variant = *model.variants()->Get(i);
    if (name.empty() || variant.name()->string_view() == name) return i;
    names += (names.empty() ? "" : ", ") + variant.name()->str();
  }
  return Status(StatusCode::kNotFound, "--variant: the model has no '" + name + "', only " + names);
}

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

// Detected, the cap is what is free beside what was put there for models.
void count_cache(const WeightCacheFolder& cache, const std::string& model_path, Cap& storage) {
  struct stat folder {
  }, model{};
  const bool on_one_disk = ::stat(cache.path().c_str(), &folder) == 0 &&
                           ::stat(model_path.c_str(), &model) == 0 && folder.st_dev == model.st_dev;
  if (storage.source == CapSource::kFileSystem && on_one_disk) {
    storage.bytes += cache.usage().bytes;
  }
}

Status override_cap(const std::string& text, const char* flag, Cap& cap) {
  if (text.empty()) return Status::ok();
  auto bytes = parse_bytes(text);
  if (!bytes.is_ok()) return bytes.status().with_context(flag);
  cap = {*bytes, CapSource::kGiven};
  return Status::ok();
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

void add_cap_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--ram", options.ram, "Memory cap (default: what the system has to give)")
      ->type_name("SIZE");
  command.add_option("--storage", options.storage, "Storage cap (default: what is free)")
      ->type_name("SIZE");
}

void add_plan_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--server", options.server, "Server to share the work with")
      ->type_name("HOST:PORT");
  command.add_option("--device", options.device,
                     "Name this device gives itself (default: host name)");
  command
      .add_option(
          "--policy", options.policy,
          "lmos: a point of the latency-memory front; loa: least latency; eco: device only; "
          "sco: server only; rs: at random")
      ->check(CLI::IsMember({"lmos", "loa", "eco", "sco", "rs"}))
      ->capture_default_str();
  command
      .add_option(
          "--rank", options.rank,
          "How lmos picks from the front. factor: deepest within the best latency times "
          "--latency-factor; budget: deepest within --latency-budget; literal: as published "
          "(default: budget with --latency-budget, else factor)")
      ->check(CLI::IsMember({"factor", "budget", "literal"}));
  command.add_option("--latency-factor", options.latency_factor, "For --rank factor")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
  command.add_option("--latency-budget", options.budget, "For --rank budget, as in 200ms")
      ->type_name("TIME");
  command.add_option("--seed", options.seed, "Of --policy rs")->capture_default_str();
  command.add_option("--profile", options.profile_path,
                     "Table of this device (default: FILE.profile beside the model)");
  add_cap_options(command, options);
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
  CLEAVE_ASSIGN_OR_RETURN(device.variant, pick_variant(device.model->header(), options.variant));
  // Planning makes XNNPACK ready, and that takes memory.
  const fbs::Variant& variant = *device.model->header().variants()->Get(device.variant);
  CLEAVE_RETURN_IF_ERROR(plan_arena_bytes(variant, {0, variant.ops()->size()}, 1).status());
  device.cache = open_cache(options);
  device.overhead_bytes = resident_bytes() + kLaterOverheadBytes;
  device.caps = detect_caps(options.model_path, device.model->file_bytes());
  if (device.cache) count_cache(*device.cache, options.model_path, device.caps.storage);
  CLEAVE_RETURN_IF_ERROR(override_cap(options.ram, "--ram", device.caps.ram));
  CLEAVE_RETURN_IF_ERROR(override_cap(options.storage, "--storage", device.caps.storage));
  return device;
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

nlohmann::ordered_json cap_json(const Cap& cap) {
  using Json = nlohmann::ordered_json;
  return {{"source", cap_source_name(cap.source)},
          {"bytes", cap.source == CapSource::kUnknown ? Json(nullptr) : Json(cap.bytes)}};
}

planner::Caps planner_caps(const Device& device, const CommandOptions& options) {
  return {.ram_bytes = device.caps.ram.bytes,
          .storage_bytes = device.caps.storage.bytes,
          .min_split = static_cast<std::uint16_t>(options.min_split)};
}

Result<planner::Request> planner_request(const CommandOptions& options) {
  static constexpr std::pair<const char*, planner::Policy> kPolicies[] = {
      {"lmos", planner::Policy::kLmos},
      {"loa", planner::Policy::kLatencyOnly},
      {"eco", planner::Policy::kEdgeOnly},
      {"sco", planner::Policy::kServerOnly},
      {"rs", planner::Policy::kRandom}};
  planner::Request request;
  for (const auto& [name, policy] : kPolicies) {
    if (options.policy == name) request.policy = policy;
  }
  request.seed = options.seed;
  request.latency_factor = {static_cast<std::uint32_t>(options.latency_factor * 1000.0 + 0.5),
                            1000};
  if (options.rank == "literal") request.rank = planner::Rank::kLiteral;
  if ((options.rank == "literal" || options.rank == "factor") && !options.budget.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "--rank " + options.rank + " has no --latency-budget");
  }
  if (options.rank == "budget" || !options.budget.empty()) {
    request.rank = planner::Rank::kWithinBudget;
    auto budget = parse_duration_ns(options.budget);
    if (!budget.is_ok()) return budget.status().with_context("--latency-budget");
    request.latency_budget_ns = *budget;
  }
  return request;
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

Result<std::optional<ConnectionOptions>> connection_options(const CommandOptions& options,
                                                            const Device& device) {
  if (options.server.empty()) return std::optional<ConnectionOptions>{};
  ConnectionOptions connection;
  CLEAVE_ASSIGN_OR_RETURN(connection.server, parse_endpoint(options.server));
  if (connection.server.host.ends_with(".local")) {
    return Status(StatusCode::kInvalidArgument,
                  connection.server.host +
                      ": names of multicast DNS are not looked up; give the server's address");
  }
  connection.device = options.device.empty() ? host_name() : options.device;
  connection.model_identity = device.model->identity();
  const fbs::Variant& variant = *device.model->header().variants()->Get(device.variant);
  connection.score_count = element_count(*variant.tensors()->Get(variant.output())->shape());
  if (!options.uplink_limit.empty()) {
    auto bits = uplink_limit(options.uplink_limit);
    if (!bits.is_ok()) return bits.status().with_context("--uplink-limit");
    connection.uplink_bits_per_second = *bits;
  }
  connection.seed = std::random_device{}();
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

Result<ProfileData> edge_profile_for(const CommandOptions& options, const Device& device) {
  const std::string path = options.profile_path.empty() ? default_profile_path(options.model_path)
                                                        : options.profile_path;
  auto loaded = load_profile(path, *device.model, options.threads, options.preference);
  if (loaded.is_ok()) return loaded;
  if (!options.profile_path.empty()) {
    // Exit code "model mismatch" is kept for the two ends of the wire.
    const Status status = loaded.status();
    return status.code() == StatusCode::kMismatch
               ? Status(StatusCode::kInvalidArgument, status.message())
               : status;
  }
  std::fprintf(stderr,
               "cleave-agent: measuring this device (%s); 'cleave-agent profile' keeps it\n",
               loaded.status().message().c_str());
  return measure_profile(device.model,
                         {.threads = options.threads,
                          .runs = 3,
                          .weight_budget_bytes = device.caps.ram.bytes / 4,
                          .weights = {.cache = device.cache, .preference = options.preference},
                          .variant = device.variant},
                         {});
}

}  // namespace cleave::agent
