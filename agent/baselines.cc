// SPDX-License-Identifier: Apache-2.0
#include "agent/baselines.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "engine/image/jpeg_encoder.h"
#include "engine/image/prepare_timing.h"
#include "planner/fixed_point.h"
#include "planner/score.h"

namespace cleave::agent {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t median(std::vector<std::uint64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// What 95 in 100 do not exceed.
std::uint64_t percentile_95(std::vector<std::uint64_t> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() * 95 + 99) / 100 - 1);
  std::ranges::nth_element(values, at);
  return *at;
}

struct Encoded {
  std::uint64_t bytes = 0;
  std::uint64_t encode_ns = 0;
};

// Of pixels at model size. A small picture's tables may be more than its pixels.
Result<Encoded> encode_peer(std::span<const std::uint8_t> pixels, const fbs::Shape& size,
                            fbs::ColorOrder order) {
  constexpr std::size_t kTables = 4096;
  std::vector<std::byte> file(pixels.size() + kTables);
  const auto start = Clock::now();
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t bytes,
                          encode_jpeg_into(pixels, size, order, kPeerJpegQuality, file));
  const auto spent = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start);
  return Encoded{bytes, static_cast<std::uint64_t>(spent.count())};
}

bool is_accepted(const PlannedSplit& row) {
  return (row.score.broken & planner::kBoundDisagreement) == 0;
}

// The whole network on the server, in the fastest precision whose answers are accepted.
std::uint64_t fastest_there_ns(std::span<const SplitPlanner> planners, const Plan& plan,
                               bool decodes) {
  std::uint64_t least_ns = UINT64_MAX;
  for (const SplitPlanner& planner : planners) {
    const bool accepted = std::ranges::any_of(plan.splits, [&](const PlannedSplit& row) {
      return row.variant == planner.variant() && is_accepted(row);
    });
    if (!accepted || !planner.has_server_profile()) continue;
    least_ns = std::min(least_ns, planner.server_only_ns(decodes));
  }
  return least_ns;
}

// The whole network on the device, in the fastest precision whose answers are accepted.
std::uint64_t fastest_alone_ns(const Plan& plan) {
  std::uint64_t least_ns = UINT64_MAX;
  for (const PlannedSplit& row : plan.splits) {
    if (row.candidate.needs_server || !is_accepted(row)) continue;
    least_ns = std::min(least_ns, row.candidate.edge_latency_ns);
  }
  return least_ns;
}

}  // namespace

Result<PictureForms> measure_forms(std::span<const std::string> pictures,
                                   const fbs::Preprocessing& preprocessing, const fbs::Shape& input,
                                   std::span<const std::uint8_t> qualities) {
  PictureForms forms;
  forms.pictures = pictures.size();
  forms.pixel_bytes = element_count(input);
  std::vector<std::uint8_t> pixels(forms.pixel_bytes);
  std::vector<std::uint64_t> file_bytes, jpeg_bytes, encode_ns;
  std::map<std::uint8_t, std::vector<std::uint64_t>> model_jpegs;
  for (const std::string& name : pictures) {
    const PictureLimits limits;
    CLEAVE_ASSIGN_OR_RETURN(const auto file, read_picture_file(name, limits));
    forms.largest_file_bytes = std::max<std::uint64_t>(forms.largest_file_bytes, file.size());
    const auto format = detect_format(file);
    if (!format.is_ok()) return format.status().with_context(name);
    if (*format == PictureFormat::kJpeg) file_bytes.push_back(file.size());
    const Status decoded = decode_to_model_size(file, preprocessing, input, limits, pixels);
    if (!decoded.is_ok()) return decoded.with_context(name);
    CLEAVE_ASSIGN_OR_RETURN(const Encoded encoded,
                            encode_peer(pixels, input, preprocessing.color_order()));
    jpeg_bytes.push_back(encoded.bytes);
    encode_ns.push_back(encoded.encode_ns);
    for (const std::uint8_t quality : std::set(qualities.begin(), qualities.end())) {
      model_jpegs[quality].push_back(
          model_jpeg_bytes(pixels, input, preprocessing.color_order(), quality));
    }
  }
  for (const auto& [quality, bytes] : model_jpegs) {
    forms.model_jpegs.push_back(
        {.quality = quality, .median_bytes = median(bytes), .p95_bytes = percentile_95(bytes)});
  }
  if (file_bytes.size() == pictures.size()) {
    forms.file_bytes_p95 = percentile_95(file_bytes);
    forms.file_bytes = median(std::move(file_bytes));
  }
  forms.jpeg_bytes = median(std::move(jpeg_bytes));
  forms.jpeg_encode_ns = median(std::move(encode_ns));
  return forms;
}

Result<PictureForms> estimate_forms(const fbs::Shape& input) {
  PictureForms forms;
  forms.pixel_bytes = element_count(input);
  const std::size_t area = std::size_t{input.height()} * input.width();
  forms.jpeg_bytes = estimated_jpeg_bytes(area, kPeerJpegQuality);
  const fbs::Shape rgb(input.height(), input.width(), 3);  // also of what is no picture
  const std::vector<std::uint8_t> pixels = made_up_picture(rgb);
  std::vector<std::uint64_t> encode_ns;
  for (int i = 0; i < 3; ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const Encoded encoded, encode_peer(pixels, rgb, fbs::ColorOrder::RGB));
    encode_ns.push_back(encoded.encode_ns);
  }
  forms.jpeg_encode_ns = median(std::move(encode_ns));
  return forms;
}

LinkCost link_cost(std::uint64_t edge_ns, std::uint64_t server_ns, std::uint64_t bytes,
                   const planner::Link& link) {
  return {
      .fixed_ns = planner::saturating_add(planner::saturating_add(edge_ns, server_ns), link.rtt_ns),
      .bytes = bytes};
}

LinkCost link_cost(const PlannedSplit& row, const planner::Link& link) {
  const planner::Candidate& candidate = row.candidate;
  if (!candidate.needs_server) return {.fixed_ns = candidate.edge_latency_ns, .bytes = 0};
  return link_cost(candidate.edge_latency_ns, candidate.server_latency_ns, row.bytes_up, link);
}

BreakEven break_even(const LinkCost& choice, const LinkCost& other) {
  // The choice is faster where (its fixed time - the other's) < (the other's bytes - its) * 8 / B.
  const bool more_time = choice.fixed_ns > other.fixed_ns;
  const bool fewer_bytes = choice.bytes < other.bytes;
  if (choice.fixed_ns == other.fixed_ns && choice.bytes == other.bytes) return {};
  if (!more_time && choice.bytes <= other.bytes) return {.when = FasterWhen::kAlways};
  if (!fewer_bytes && choice.fixed_ns >= other.fixed_ns) return {.when = FasterWhen::kNever};
  const std::uint64_t bytes = fewer_bytes ? other.bytes - choice.bytes : choice.bytes - other.bytes;
  const std::uint64_t ns =
      more_time ? choice.fixed_ns - other.fixed_ns : other.fixed_ns - choice.fixed_ns;
  return {.when = more_time ? FasterWhen::kBelow : FasterWhen::kAbove,
          .bandwidth_bps = planner::saturating_muldiv_down(bytes, 8 * planner::kNsPerSecond, ns)};
}

std::vector<Baseline> list_baselines(std::span<const SplitPlanner> planners, const Plan& plan,
                                     const PictureForms& forms, const planner::Link& link,
                                     std::uint64_t max_picture_bytes) {
  const std::uint64_t input_ns = planners.front().input_ns();
  std::vector<Baseline> baselines{{.name = "edge_only",
                                   .description = "device only",
                                   .needs_server = false,
                                   .edge_ns = fastest_alone_ns(plan)}};
  if (forms.file_bytes) {
    baselines.push_back({.name = "file",
                         .description = "server only, the file as it is",
                         .bytes_source = forms.file_bytes_source,
                         .server_decodes = true,
                         .over_server_limit = *forms.file_bytes > max_picture_bytes,
                         .bytes_up = *forms.file_bytes});
  }
  baselines.push_back({.name = "jpeg_q90",
                       .description = "server only, JPEG at model size, quality 90",
                       .bytes_source = forms.pictures > 0 ? "measured" : "estimated",
                       .server_decodes = true,
                       .bytes_up = forms.jpeg_bytes,
                       .edge_ns = planner::saturating_add(input_ns, forms.jpeg_encode_ns)});
  baselines.push_back({.name = "pixels_u8",
                       .description = "server only, u8 pixels at model size",
                       .bytes_up = forms.pixel_bytes,
                       .edge_ns = input_ns});
  const bool server = link.available && planners.front().has_server_profile();
  for (Baseline& baseline : baselines) {
    LinkCost cost{.fixed_ns = baseline.edge_ns};
    Baseline::Times times{.total_ns = baseline.edge_ns};
    if (baseline.needs_server) {
      if (!server) continue;
      times.server_ns = fastest_there_ns(planners, plan, baseline.server_decodes);
      times.tx_ns = planner::transmit_ns(baseline.bytes_up, link);
      times.total_ns = planner::saturating_add(
          times.tx_ns, planner::saturating_add(baseline.edge_ns, times.server_ns));
      cost = link_cost(baseline.edge_ns, times.server_ns, baseline.bytes_up, link);
    }
    if (plan.chosen) times.choice = break_even(link_cost(plan.splits[*plan.chosen], link), cost);
    baseline.times = times;
  }
  return baselines;
}

}  // namespace cleave::agent
