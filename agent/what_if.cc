// SPDX-License-Identifier: Apache-2.0
#include "agent/what_if.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

namespace cleave::agent {
namespace {

constexpr const char* kConditionNames =
    "bandwidth, rtt, ram, storage, cores, clock, min-split, deadline, energy-budget, cost-bound, "
    "latency-budget, disagreement, codec, jpeg-quality, bytes-at, objective, rank, policy and "
    "server";

Status bad(const std::string& why) { return {StatusCode::kInvalidArgument, "--what-if: " + why}; }

// Where the text of an option is kept; null for names that are no text option.
std::string* text_of(CommandOptions& options, std::string_view name) {
  const std::pair<std::string_view, std::string*> texts[] = {
      {"bandwidth", &options.bandwidth},
      {"rtt", &options.rtt},
      {"ram", &options.caps.ram},
      {"storage", &options.caps.storage},
      {"clock", &options.caps.clock},
      {"deadline", &options.trade.deadline},
      {"energy-budget", &options.trade.energy_budget},
      {"cost-bound", &options.trade.cost_bound},
      {"latency-budget", &options.trade.budget},
      {"disagreement", &options.trade.disagreement},
      {"codec", &options.codec}};
  const auto* found = std::ranges::find(texts, name, [](const auto& entry) { return entry.first; });
  return found == std::end(texts) ? nullptr : found->second;
}

template <typename Number>
Status read_number(std::string_view name, std::string_view value, Number most, Number& number) {
  const auto end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end && number <= most) return Status::ok();
  return bad(std::string(name) + "=" + std::string(value) + " is no whole number, or too large");
}

Status read_choice(std::string_view name, std::string_view value,
                   std::initializer_list<std::string_view> allowed, std::string& choice) {
  if (std::ranges::find(allowed, value) == allowed.end()) {
    return bad(std::string(name) + " has no value " + std::string(value));
  }
  choice = value;
  return Status::ok();
}

Status apply(CommandOptions& options, std::string_view name, std::string_view value) {
  if (value.empty()) return bad(std::string(name) + " has no value");
  if (std::string* text = text_of(options, name)) {
    *text = value == "none" ? "" : value;
    if (name == "codec" && value == "none") *text = "raw";
    return Status::ok();
  }
  if (name == "cores") return read_number(name, value, 4096U, options.caps.cores);
  if (name == "jpeg-quality") {
    options.jpeg_quality = 0;
    if (value == "none") return Status::ok();
    CLEAVE_RETURN_IF_ERROR(read_number(name, value, 100U, options.jpeg_quality));
    return options.jpeg_quality > 0 ? Status::ok() : bad("jpeg-quality is 1 to 100");
  }
  if (name == "min-split") {
    return read_number(name, value, std::uint32_t{65535}, options.min_split);
  }
  if (name == "objective") {
    return read_choice(name, value, {"memory", "energy", "cost"}, options.trade.objective);
  }
  if (name == "rank") {
    return read_choice(name, value, {"factor", "budget", "literal", "knee", "least"},
                       options.trade.rank);
  }
  if (name == "bytes-at") {
    return read_choice(name, value, {"median", "p95"}, options.bytes_at);
  }
  if (name == "policy") {
    return read_choice(name, value, {"lmos", "loa", "eco", "sco", "rs"}, options.policy);
  }
  if (name == "server") {
    options.server.clear();
    return value == "none" ? Status::ok() : bad("server can only be none");
  }
  return bad("no '" + std::string(name) + "'; there are " + kConditionNames);
}

}  // namespace

Result<CommandOptions> apply_what_if(const CommandOptions& options, const std::string& text) {
  CommandOptions changed = options;
  if (text.empty()) return changed;
  std::set<std::string, std::less<>> seen;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view entry = rest.substr(0, comma);
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) {
      return bad("'" + std::string(entry) + "' is not NAME=VALUE, as in bandwidth=2mbit,ram=64MiB");
    }
    const std::string_view name = entry.substr(0, equals);
    if (!seen.emplace(name).second) return bad(std::string(name) + " is there twice");
    CLEAVE_RETURN_IF_ERROR(apply(changed, name, entry.substr(equals + 1)));
    if (comma == std::string_view::npos) return changed;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace cleave::agent
