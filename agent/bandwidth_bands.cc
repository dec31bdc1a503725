// SPDX-License-Identifier: Apache-2.0
#include "agent/bandwidth_bands.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "agent/codec_option.h"

namespace cleave::agent {
namespace {

// Where an uplink without end is best used: only what is not the link's counts.
std::size_t fastest_without_link(std::span<const Way> ways) {
  const auto best = std::ranges::min_element(ways, [](const Way& a, const Way& b) {
    return a.cost.fixed_ns != b.cost.fixed_ns ? a.cost.fixed_ns < b.cost.fixed_ns
                                              : a.cost.bytes < b.cost.bytes;
  });
  return static_cast<std::size_t>(best - ways.begin());
}

// The way that takes over first as the uplink gets slower: it sends less.
std::optional<BandwidthBand> next_slower(std::span<const Way> ways, std::size_t from) {
  std::optional<BandwidthBand> next;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    if (ways[i].cost.bytes >= ways[from].cost.bytes) continue;
    const std::uint64_t at_bps = break_even(ways[i].cost, ways[from].cost).bandwidth_bps;
    const bool tie = next && at_bps == next->from_bps;
    if (!next || at_bps > next->from_bps ||
        (tie && ways[i].cost.bytes < ways[next->way].cost.bytes)) {
      next = BandwidthBand{.way = i, .from_bps = at_bps};
    }
  }
  return next;
}

constexpr std::uint16_t kOfTheRate =
    planner::kBoundDeadline | planner::kBoundEnergy | planner::kBoundCost;

bool is_possible(const PlannedSplit& row) { return (row.score.broken & ~kOfTheRate) == 0; }

std::string codec_words(const PlannedSplit& row) {
  return row.codec() == CodecChoice{} ? "" : " as " + codec_name(row.codec());
}

std::string rate_text(std::uint64_t bps) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.3f Mbit/s", static_cast<double>(bps) / 1e6);
  return text;
}

}  // namespace

std::vector<BandwidthBand> bandwidth_bands(std::span<const Way> ways) {
  std::vector<BandwidthBand> bands;
  if (ways.empty()) return bands;
  BandwidthBand band{.way = fastest_without_link(ways)};
  while (const auto next = next_slower(ways, band.way)) {
    bands.push_back({.way = band.way, .from_bps = next->from_bps});
    band.way = next->way;
  }
  bands.push_back(band);
  std::ranges::reverse(bands);
  return bands;
}

std::vector<Way> list_ways(const Plan& plan, const planner::Link& link) {
  std::vector<Way> ways;
  for (const PlannedSplit& row : plan.splits) {
    if (!is_possible(row)) continue;
    const std::string precision = row.variant_name.empty() ? "" : " in " + row.variant_name;
    const std::string number = std::to_string(row.split.layers_on_device);
    const std::string what =
        !row.candidate.needs_server ? "device only"
        : row.split.op_boundary == 0
            ? std::string("server only, ") + row.picture_form() + codec_words(row)
            : "split " + number + " (" + row.layer + ")" + codec_words(row);
    ways.push_back({.description = what + precision, .cost = link_cost(row, link)});
  }
  return ways;
}

std::string bands_text(std::span<const Way> ways, std::span<const BandwidthBand> bands) {
  std::string text;
  for (std::size_t i = 0; i < bands.size(); ++i) {
    if (i > 0) text += "; ";
    text += ways[bands[i].way].description;
    if (bands.size() == 1) return text + " at every rate";
    text += i + 1 < bands.size() ? " below " + rate_text(bands[i + 1].from_bps) : " above";
  }
  return text;
}

}  // namespace cleave::agent
