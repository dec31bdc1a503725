// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_inputs.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/codec_option.h"
#include "agent/connection.h"
#include "agent/disagreement.h"
#include "agent/online_planner.h"
#include "agent/picture_source.h"
#include "agent/wanted_codecs.h"
#include "agent/what_if.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

void append_name(std::string& names, const std::string& name) {
  names += (names.empty() ? "" : ", ") + name;
}

// Those that have no times are dropped.
Status set_edge_tables(const ProfileData& profile, std::vector<SplitPlanner>& planners,
                       PlanInputs& inputs) {
  CLEAVE_RETURN_IF_ERROR(planners.front().set_edge_profile(profile));
  std::string dropped;
  std::erase_if(planners, [&](SplitPlanner& planner) {
    if (planner.set_edge_profile(profile).is_ok()) return false;
    append_name(dropped, planner.variant_name());
    return true;
  });
  if (!dropped.empty()) {
    inputs.variants_note =
        dropped + ": not considered, for want of times; `cleave-agent profile IMAGE...` measures";
  }
  return Status::ok();
}

Status set_server_tables(const ProfileData& profile, std::vector<SplitPlanner>& planners,
                         PlanInputs& inputs) {
  CLEAVE_RETURN_IF_ERROR(planners.front().set_server_profile(profile));
  std::string alone;
  for (SplitPlanner& planner : std::span(planners).subspan(1)) {
    if (!planner.set_server_profile(profile).is_ok()) append_name(alone, planner.variant_name());
  }
  if (alone.empty()) return Status::ok();
  inputs.variants_note +=
      (inputs.variants_note.empty() ? "" : "; ") + alone + ": the server sent no times of it";
  return Status::ok();
}

bool has_codec_times(const ProfileData& profile) {
  return std::ranges::any_of(profile.coded,
                             [](const CodedBytes& coded) { return !coded.encode_ns.empty(); });
}

// Shakes hands with the server for its table and the round trip.
Status consult_server(const ConnectionOptions& remote, std::chrono::nanoseconds timeout,
                      std::vector<SplitPlanner>& planners, PlanInputs& inputs) {
  asio::io_context io(1);
  Connection connection(io.get_executor(), remote);
  Status reached;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        reached = co_await connection.ensure_ready(
            Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout));
        co_await connection.close();
      },
      [](std::exception_ptr error) {
        if (error != nullptr) std::rethrow_exception(error);
      });
  io.run();
  if (reached.code() == StatusCode::kMismatch) return reached;
  // A plan is made once: what a person has to look at is not passed over.
  if (!connection.stranger().empty()) return {StatusCode::kMismatch, connection.stranger()};
  if (!reached.is_ok()) {
    inputs.server_note = reached.message();
    return Status::ok();
  }
  inputs.handshake_rtt_ns = connection.rtt_ns();
  inputs.max_picture_bytes = connection.max_picture_bytes();
  if (!connection.server_profile()) {
    return {StatusCode::kMismatch, "the server sent no table of its times"};
  }
  inputs.server_takes_codecs = connection.takes_codecs();
  inputs.server_takes_model_jpegs = connection.takes_model_jpegs();
  inputs.server_profile = connection.server_profile();
  return set_server_tables(*connection.server_profile(), planners, inputs);
}

// The JPEGs of the user's own that the profile was made with, if it was.
const CodedBytes* profiled_jpegs(const ProfileData& profile, const fbs::Variant& variant) {
  const auto found = std::ranges::find_if(profile.coded, [&](const CodedBytes& coded) {
    return coded.variant == variant.name()->string_view() &&
           coded.codec == static_cast<std::uint8_t>(fbs::Codec::Jpeg) &&
           !coded.median_bytes.empty();
  });
  return found == profile.coded.end() ? nullptr : &*found;
}

// What may cross at k = 0: measured on the pictures named, else on the profile's, else estimated.
Result<PictureForms> picture_forms(const CommandOptions& options, const Device& device,
                                   const ProfileData& profile) {
  const fbs::Model& model = device.model->header();
  const fbs::Variant& variant = *model.variants()->Get(device.variant);
  const fbs::Shape& input = *variant.tensors()->Get(variant.input())->shape();
  if (options.images.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(PictureForms forms, estimate_forms(input));
    const CodedBytes* jpegs = profiled_jpegs(profile, variant);
    if (jpegs == nullptr) return forms;
    forms.file_bytes = jpegs->median_bytes.front();
    forms.file_bytes_p95 = forms.largest_file_bytes = jpegs->p95_bytes.front();
    forms.file_bytes_source = "profile";
    return forms;
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto names, list_pictures(options.images));
  CLEAVE_ASSIGN_OR_RETURN(const CommandOptions changed, apply_what_if(options, options.what_if));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::uint8_t> qualities, jpeg_qualities_to_plan(options));
  CLEAVE_ASSIGN_OR_RETURN(const auto more, jpeg_qualities_to_plan(changed));
  qualities.insert(qualities.end(), more.begin(), more.end());
  return measure_forms(names, *model.preprocessing(), input, qualities);
}

// How often the precision's answers differ, by the device's own profile. Where it is named, auto
// bounds only what codecs add. REQUIRES: the profile has its times.
std::uint32_t precision_ppm(const CommandOptions& options, const fbs::Model& model,
                            const ProfileData& profile, const std::string& variant) {
  if (options.codec == kCodecAuto && !options.variant.empty()) return 0;
  return disagreement_ppm(model, *find_variant(profile, variant));
}

// Also where only the what-if asks for them: its plan measures nothing itself.
Status gather_encode_rates(const CommandOptions& options, const Device& device,
                           std::span<const SplitPlanner> planners, PlanInputs& inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const CommandOptions changed, apply_what_if(options, options.what_if));
  for (const SplitPlanner& planner : planners) {
    for (const CommandOptions* asked : {&options, &changed}) {
      CLEAVE_ASSIGN_OR_RETURN(
          EncodeRates rates,
          encode_rates_to_plan(*asked, *device.model, planner.variant(), &inputs.edge_profile,
                               speed_now(device.caps.processor)));
      inputs.encode_rates[planner.variant()].merge(rates);
      const bool same_codecs =
          changed.codec == options.codec && changed.jpeg_quality == options.jpeg_quality;
      if (same_codecs) break;
    }
  }
  return Status::ok();
}

// Those of the options at hand, with what both profiles say of them.
Status settle_codecs(const CommandOptions& options, const Device& device,
                     std::vector<SplitPlanner>& planners, PlanInputs& inputs) {
  for (SplitPlanner& planner : planners) {
    CLEAVE_ASSIGN_OR_RETURN(
        const CutCodecs codecs,
        codecs_to_plan(options, *device.model, planner.variant(), &inputs.edge_profile,
                       &inputs.encode_rates[planner.variant()], inputs.forms.model_jpegs));
    CLEAVE_RETURN_IF_ERROR(planner.use_codecs(codecs));
    planner.set_disagreement_ppm(precision_ppm(options, device.model->header(), inputs.edge_profile,
                                               planner.variant_name()));
    planner.set_server_takes_codecs(inputs.server_takes_codecs);
    planner.set_server_takes_model_jpegs(inputs.server_takes_model_jpegs);
    // A precision that the server has no times of stays without.
    if (inputs.server_profile) (void)planner.set_server_profile(*inputs.server_profile);
  }
  inputs.codecs_note.clear();
  if (options.codec != kCodecAuto) return Status::ok();
  if (!inputs.server_takes_codecs) {
    inputs.codecs_note = "the server decodes no codecs: tensors are planned raw";
  } else if (!has_codec_times(inputs.edge_profile)) {
    inputs.codecs_note =
        "what codecs take is estimated from made-up tensors, and their bytes are the most there "
        "can "
        "be or those of calibration; `cleave-agent profile IMAGE...` measures them";
  }
  return Status::ok();
}

constexpr const char* kNoServer = "none was given; name one with --server";

Status settle_link(const CommandOptions& options, PlanInputs& inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const GivenLink link, planner_link(options));
  inputs.link = link.link;
  inputs.link_source = link.given                     ? "given"
                       : options.uplink_limit.empty() ? "assumed"
                                                      : "the limit";
  if (options.server.empty()) inputs.server_note = kNoServer;
  inputs.link.available = inputs.handshake_rtt_ns.has_value() && inputs.server_note.empty();
  if (!link.rtt_given && inputs.link.available) inputs.link.rtt_ns = *inputs.handshake_rtt_ns;
  return Status::ok();
}

}  // namespace

Result<std::vector<SplitPlanner>> make_planners(const CommandOptions& options, const Device& device,
                                                bool every) {
  std::vector<std::uint32_t> variants{device.variant};
  for (std::uint32_t v = 0; every && v < device.model->header().variants()->size(); ++v) {
    if (v != device.variant) variants.push_back(v);
  }
  std::vector<SplitPlanner> planners;
  for (const std::uint32_t variant : variants) {
    CLEAVE_ASSIGN_OR_RETURN(SplitPlanner planner,
                            SplitPlanner::create(*device.model, variant, device.overhead_bytes,
                                                 device.cache != nullptr, options.preference));
    planners.push_back(std::move(planner));
  }
  return planners;
}

Status settle_plan_inputs(const CommandOptions& options, const Device& device,
                          std::vector<SplitPlanner>& planners, PlanInputs& inputs) {
  CLEAVE_RETURN_IF_ERROR(settle_link(options, inputs));
  CLEAVE_ASSIGN_OR_RETURN(inputs.trade, planner_trade(options, device));
  for (SplitPlanner& planner : planners) {
    planner.set_device_speed(speed_now(device.caps.processor));
  }
  CLEAVE_RETURN_IF_ERROR(settle_codecs(options, device, planners, inputs));
  const SplitPlanner& planner = planners.front();
  inputs.variant_name = planner.variant_name();
  inputs.speed = planner.device_speed();
  inputs.measured_speed = planner.measured_speed();
  inputs.overhead_bytes = planner.fixed_overhead_bytes();
  inputs.scale = planner.edge_scale();
  inputs.conditions = {.link = inputs.link,
                       .caps = planner_caps(device, options, inputs.trade),
                       .energy = inputs.trade.energy,
                       .prices = inputs.trade.prices,
                       .bytes_at = options.bytes_at == "p95" ? planner::Percentile::kP95
                                                             : planner::Percentile::kMedian,
                       .picture_bytes = {}};
  std::uint64_t& ram_bytes = inputs.conditions.caps.ram_bytes;
  ram_bytes -= std::min(ram_bytes, inputs.forms.largest_file_bytes);
  return Status::ok();
}

Result<EdgeTimes> plan_times(const CommandOptions& options, const Device& device) {
  CLEAVE_RETURN_IF_ERROR(planner_link(options).status());
  CLEAVE_RETURN_IF_ERROR(planner_trade(options, device).status());
  return edge_times_for(options, device);
}

Status gather_plan_inputs(const CommandOptions& options, const Device& device,
                          const EdgeTimes& times, std::vector<SplitPlanner>& planners,
                          PlanInputs& inputs) {
  for (SplitPlanner& planner : planners) planner.add_overhead(times.kept_bytes);
  CLEAVE_ASSIGN_OR_RETURN(inputs.forms, picture_forms(options, device, times.table));
  inputs.edge_profile = times.table;
  inputs.times_source = times.source;
  inputs.times_note = times.note;
  CLEAVE_RETURN_IF_ERROR(set_edge_tables(times.table, planners, inputs));
  CLEAVE_RETURN_IF_ERROR(gather_encode_rates(options, device, planners, inputs));
  CLEAVE_ASSIGN_OR_RETURN(const auto remote, connection_options(options, device));
  CLEAVE_ASSIGN_OR_RETURN(const auto timeout, request_timeout(options));
  if (remote) CLEAVE_RETURN_IF_ERROR(consult_server(*remote, timeout, planners, inputs));
  return settle_plan_inputs(options, device, planners, inputs);
}

Plan decide(std::span<const SplitPlanner> planners, const PlanInputs& inputs) {
  std::vector<const SplitPlanner*> all;
  for (const SplitPlanner& planner : planners) all.push_back(&planner);
  return SplitPlanner::decide_among(all, inputs.picture(), inputs.conditions, inputs.trade.request,
                                    {}, inputs.trade.pick);
}

namespace {

// Of the pictures named; those that are not there are the run's to say.
std::uint64_t largest_bytes(const std::vector<std::string>& images) {
  const auto names = list_pictures(images);
  if (!names.is_ok()) return 0;
  std::uintmax_t largest = 0;
  for (const std::string& name : *names) {
    std::error_code failed;
    const std::uintmax_t bytes = std::filesystem::file_size(name, failed);
    if (!failed) largest = std::max(largest, bytes);
  }
  return largest;
}

}  // namespace

Result<std::uint32_t> choose_variant(const CommandOptions& options, const Device& device,
                                     const EdgeTimes& times) {
  CLEAVE_ASSIGN_OR_RETURN(std::vector<SplitPlanner> planners, make_planners(options, device, true));
  CommandOptions blind = options;
  blind.images.clear();
  PlanInputs inputs;
  Status gathered = gather_plan_inputs(blind, device, times, planners, inputs);
  if (gathered.code() == StatusCode::kMismatch) {
    inputs.server_note = gathered.message();
    gathered = settle_plan_inputs(blind, device, planners, inputs);
  }
  CLEAVE_RETURN_IF_ERROR(gathered);
  // Each file is held beside everything else.
  std::uint64_t& ram_bytes = inputs.conditions.caps.ram_bytes;
  ram_bytes = planner::saturating_sub(
      ram_bytes,
      planner::saturating_sub(largest_bytes(options.images), inputs.forms.largest_file_bytes));
  // A run asks the server with one variant, and ends where that is not the server's.
  if (inputs.link.available) {
    std::erase_if(planners, [](const SplitPlanner& p) { return !p.has_server_profile(); });
  }
  if (!inputs.variants_note.empty()) {
    std::fprintf(stderr, "cleave-agent: %s\n", inputs.variants_note.c_str());
  }
  PlanInputs fastest = inputs;
  fastest.conditions.caps = without_soft_bounds(inputs.conditions.caps);
  fastest.trade.request.policy = fastest_of(inputs.trade.request.policy);
  PlanInputs alone = fastest;
  alone.trade.request.policy = planner::Policy::kEdgeOnly;
  for (const PlanInputs* tried : {&inputs, &fastest, &alone}) {
    const Plan plan = decide(planners, *tried);
    if (plan.chosen) return plan.splits[*plan.chosen].variant;
  }
  return device.variant;
}

}  // namespace cleave::agent
