// SPDX-License-Identifier: Apache-2.0
//
// Options that several commands share: the same flag means the same thing in each.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/connection.h"
#include "agent/device_caps.h"
#include "agent/split_planner.h"
#include "engine/preference.h"
#include "engine/weight_cache_folder.h"
#include "planner/planner.h"
#include "schemas/exit_code.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// As written on the command line; read by the functions below.
struct CommandOptions {
  std::string model_path;
  std::string variant;  // empty: the first that this build runs
  std::string server;
  std::string split = "auto";
  std::string policy = "lmos";
  std::string rank;    // empty: budget when there is one, else factor
  std::string budget;  // --latency-budget
  double latency_factor = 1.1;
  std::uint64_t seed = 1;
  std::string profile_path;
  std::string ram, storage;  // caps
  std::string cache_path;    // empty: the user's own
  bool no_cache = false;
  std::uint64_t cache_limit_bytes = WeightCacheOptions{}.limit_bytes;
  std::uint32_t min_split = 0;
  std::string bandwidth, rtt;  // the link, when the user knows it
  std::string uplink_limit;
  std::string timeout = "60s";
  unsigned threads = 1;
  Preference preference = Preference::kSpeed;
  unsigned runs = 0;
  std::string output;
  std::string device;
  bool json = false;
  bool scores = false;
  bool verify = false;
  unsigned top = 5;
  std::vector<std::string> images;
};

void add_model_options(CLI::App& command, CommandOptions& options);
void add_cache_options(CLI::App& command, CommandOptions& options);
void add_cap_options(CLI::App& command, CommandOptions& options);
void add_plan_options(CLI::App& command, CommandOptions& options);

// One line on standard error; gives back the exit code for `return`.
int fail(ExitCode code, const std::string& message);
// `code`, or kIo with its line when standard output could not be written.
int finish_output(ExitCode code);
// The exit code that a failure to open or run a model means.
ExitCode exit_code_of(const Status& status);

// Everything that run and plan need before the first picture.
struct Device {
  std::shared_ptr<const ModelFile> model;
  std::uint32_t variant = 0;
  DeviceCaps caps;
  std::shared_ptr<WeightCacheFolder> cache;  // null: none
  std::uint64_t overhead_bytes = 0;  // RSS before any weights are packed, and what else a run takes
};

// Opens the model, picks the variant, detects the caps and applies the overrides. A weight cache
// that cannot be used is no error: it is done without, and said so on standard error.
Result<Device> open_device(const CommandOptions& options);
// Says on standard error why weights that were packed could not be kept, if so.
void warn_of_cache(const Device& device);
// Folder, bytes, and what this process did with it; null without one.
nlohmann::ordered_json cache_json(const Device& device);
// A cap as every command's JSON has it: its source, and its bytes or null when it is not known.
nlohmann::ordered_json cap_json(const Cap& cap);
planner::Caps planner_caps(const Device& device, const CommandOptions& options);
// Policy, rank and budget. Errors: kInvalidArgument.
Result<planner::Request> planner_request(const CommandOptions& options);

struct GivenLink {
  planner::Link link;
  bool given = false;      // the user said the bandwidth: it is not estimated
  bool rtt_given = false;  // and the round trip: it is not measured
};
// --bandwidth and --rtt, else --uplink-limit as the first belief, else the planner's default.
Result<GivenLink> planner_link(const CommandOptions& options);

// The connection's options, or nothing when no server was named.
Result<std::optional<ConnectionOptions>> connection_options(const CommandOptions& options,
                                                            const Device& device);

// --timeout. Errors: kInvalidArgument.
Result<std::chrono::nanoseconds> request_timeout(const CommandOptions& options);

// The device's own table: --profile, else the one beside the model, else measured now (and said so
// on standard error).
Result<ProfileData> edge_profile_for(const CommandOptions& options, const Device& device);

}  // namespace cleave::agent
