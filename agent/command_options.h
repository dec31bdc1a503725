// SPDX-License-Identifier: Apache-2.0
//
// Options that several commands share: the same flag means the same thing in each.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/caps_options.h"
#include "agent/connection.h"
#include "agent/delivery.h"
#include "agent/edge_times.h"
#include "agent/split_planner.h"
#include "agent/trade_options.h"
#include "engine/preference.h"
#include "engine/weight_cache_folder.h"
#include "planner/planner.h"
#include "schemas/exit_code.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cleave::agent {

// As written on the command line; read by the functions below.
struct CommandOptions {
  std::string model_path;
  std::string variant;  // empty: the first, of a model folder the one of which most is held
  std::string server;
  TlsFiles tls;  // of the connection to it; none: plain TCP
  std::string tls_name, token_file;
  bool allow_plain = false;
  std::string split = "auto";
  std::string codec = "raw";
  unsigned jpeg_quality = 0;  // 0: not given
  std::string policy = "lmos";
  TradeTexts trade;
  std::uint64_t seed = 1;
  std::string profile_path;
  CapsTexts caps;
  std::string cache_path;  // empty: the user's own
  bool no_cache = false;
  std::uint64_t cache_limit_bytes = WeightCacheOptions{}.limit_bytes;
  std::uint32_t min_split = 0;
  std::string bandwidth, rtt;  // the link, when the user knows it
  std::string uplink_limit;
  std::string timeout = "60s";
  unsigned threads = 1;
  Preference preference = Preference::kSpeed;
  unsigned runs = 0;
  std::vector<unsigned> thread_counts;  // of profile; empty: `threads` alone
  std::size_t codec_pictures = 64;      // of profile
  std::string output;
  std::string model_name, model_id;  // of fetch
  bool roll_back = false;            // of update
  bool retry_refused = false;
  std::string what_if, plot;  // of plan
  std::string trace, replay;  // files; empty: none
  DeliveryTexts delivery;     // of run
  std::size_t overlap = 3;    // pictures in work
  std::size_t queue = 16;     // names from standard input that wait
  std::string queue_full = "block";
  bool stats = false;
  std::string log_path;  // of run; empty: none
  std::string log_level = "info";
  std::string device;
  bool json = false;
  bool scores = false;
  bool verify = false;
  bool measure = false;
  std::string bytes_at = "median";  // or "p95"
  unsigned top = 5;
  std::vector<std::string> images;
};

void add_model_options(CLI::App& command, CommandOptions& options);
void add_cache_options(CLI::App& command, CommandOptions& options);
void add_plan_options(CLI::App& command, CommandOptions& options);
// --jpeg-quality, of plan and run; of profile it means something else.
void add_jpeg_option(CLI::App& command, CommandOptions& options, const char* help);
// What the connection to a server is secured with.
void add_link_options(CLI::App& command, CommandOptions& options);
// Of fetch, and of update.
void add_fetch_options(CLI::App& command, CommandOptions& options);
void add_update_options(CLI::App& command, CommandOptions& options);

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
  DeviceCaps caps;                           // at the start
  std::shared_ptr<CapsWatch> watch;          // the same while the agent runs
  std::optional<EnergyConstants> energy;     // only when the user gave the board's
  std::shared_ptr<WeightCacheFolder> cache;  // null: none
  std::uint64_t overhead_bytes = 0;  // RSS before any weights are packed, and what else a run takes
};

// Opens the model, picks the variant, detects the caps and applies the overrides. A weight cache
// that cannot be used is no error: it is done without, and said so on standard error.
Result<Device> open_device(const CommandOptions& options);
// Caps, watch and energy of `device` anew, with the overrides of these options.
[[nodiscard]] Status detect_caps(const CommandOptions& options, Device& device);
// Says on standard error why weights that were packed could not be kept, if so.
void warn_of_cache(const Device& device);
// Folder, bytes, and what this process did with it; null without one.
nlohmann::ordered_json cache_json(const Device& device);
planner::Caps planner_caps(const Device& device, const CommandOptions& options, const Trade& trade);
// Policy, objectives, rank, bounds, energy and prices. Errors: kInvalidArgument.
Result<Trade> planner_trade(const CommandOptions& options, const Device& device);

struct GivenLink {
  planner::Link link;
  bool given = false;      // the user said the bandwidth: it is not estimated
  bool rtt_given = false;  // and the round trip: it is not measured
};
// --bandwidth and --rtt, else --uplink-limit as the first belief, else the planner's default.
Result<GivenLink> planner_link(const CommandOptions& options);

// Security of `connection`, and the device's name, which is its certificate's if it has one.
// REQUIRES: connection.server. Errors: kInvalidArgument, kNotFound, kIo.
Status secure_connection(const CommandOptions& options, ConnectionOptions& connection);
// The connection's options but for the model. REQUIRES: a server was named.
// Errors: kInvalidArgument; of credentials also kNotFound and kIo.
Result<ConnectionOptions> server_options(const CommandOptions& options);
// The connection's options, or nothing when no server was named.
Result<std::optional<ConnectionOptions>> connection_options(const CommandOptions& options,
                                                            const Device& device);

// --timeout. Errors: kInvalidArgument.
Result<std::chrono::nanoseconds> request_timeout(const CommandOptions& options);

// --disagreement was given and no precision named: others than the device's may be chosen.
[[nodiscard]] bool chooses_variant(const CommandOptions& options);

// The device's own times: --profile, else the file beside the model, else measured now with
// --measure, else computed. What is not from a file is said on standard error, with why.
// Errors: a file that was named and cannot be used; a measurement that failed.
Result<EdgeTimes> edge_times_for(const CommandOptions& options, const Device& device);
// measure_at_clock() of `device`, in a quarter of its memory; a clock that changed meanwhile is
// said on standard error.
Result<ProfileData> measure_here(const CommandOptions& options, const Device& device,
                                 const MeasureOptions& measure,
                                 const std::function<void(std::size_t, std::size_t)>& progress);

}  // namespace cleave::agent
