// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/bandwidth_bands.h"
#include "agent/caps_report.h"
#include "agent/codec_option.h"
#include "agent/monthly_cost.h"
#include "agent/record.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

Json sent_json(const PlannedSplit& row) {
  if (!row.candidate.needs_server) return nullptr;
  if (row.split.op_boundary > 0) return kSentTensors;
  if (is_model_jpeg(row.codec())) return kSentModelJpeg;
  return row.candidate.sends_jpeg ? kSentJpeg : kSentPixels;
}

// Whether it has a codec: tensors have, raw or another, and JPEGs at model size.
bool has_codec(const PlannedSplit& row) {
  return row.candidate.needs_server && (row.split.op_boundary > 0 || row.codec() != CodecChoice{});
}

Json codec_json(const PlannedSplit& row) {
  return has_codec(row) ? Json(codec_name(row.codec())) : Json(nullptr);
}

Json unless_saturated(std::uint64_t value) {
  return value == UINT64_MAX ? Json(nullptr) : Json(value);
}

// The two objectives of this plan; `from` has them by the names of planner::Score.
template <typename Objectives>
Json traded_json(const Objectives& from, const planner::ObjectivePair& pair) {
  Json json = Json::object();
  for (const planner::Objective objective : {pair.constrained, pair.optimized}) {
    switch (objective) {
      case planner::Objective::kLatency:
        json["latency_ns"] = from.latency_ns;
        break;
      case planner::Objective::kEdgeMemory:
        json["memory_bytes"] = from.memory_bytes;
        break;
      case planner::Objective::kEnergy:
        json["energy_uj"] = from.energy_uj;
        break;
      case planner::Objective::kCost:
        json["cost_ueur"] = from.cost_ueur;
        break;
    }
  }
  return json;
}

// What the choice was held to; null: nothing.
Json bounds_json(const Plan& plan, const PlanInputs& inputs, const CommandOptions& options) {
  const planner::Caps& bounds = inputs.trade.bounds;
  const bool of_latency =
      plan.decision.objectives.constrained == planner::Objective::kLatency && plan.chosen;
  return {
      {"rank", options.trade.rank.empty() ? Json(nullptr) : Json(options.trade.rank)},
      {"latency_budget_ns", of_latency ? unless_saturated(plan.decision.budget) : Json(nullptr)},
      {"deadline_ns", unless_saturated(bounds.deadline_ns)},
      {"energy_budget_uj", unless_saturated(bounds.energy_budget_uj)},
      {"cost_bound_ueur", unless_saturated(bounds.cost_bound_ueur)},
      {"disagreement_ppm", options.variant.empty() || options.codec == kCodecAuto
                               ? Json(bounds.disagreement_ppm)
                               : Json(nullptr)},
      {"codec", options.codec},
      {"jpeg_quality", options.jpeg_quality == 0 ? Json(nullptr) : Json(options.jpeg_quality)},
      {"bytes_at", options.bytes_at}};
}

// `file_bytes`: of the largest picture, held beside everything else.
Json split_json(const Plan& plan, std::size_t index, const PlanInputs& inputs) {
  const PlannedSplit& row = plan.splits[index];
  const std::uint64_t file_bytes = inputs.forms.largest_file_bytes;
  const auto known = [](bool is, std::uint64_t value) {
    return is && value != UINT64_MAX ? Json(value) : Json(nullptr);
  };
  const auto& by = plan.dominated_by[index];
  const bool asks = row.candidate.needs_server;
  const bool server = inputs.link.available;
  return {{"variant", row.variant_name.empty() ? inputs.variant_name : row.variant_name},
          {"disagreement_ppm", row.candidate.disagreement_ppm == UINT32_MAX
                                   ? Json(nullptr)
                                   : Json(row.candidate.disagreement_ppm)},
          {"split", row.split.layers_on_device},
          {"layer", row.layer},
          {"op", row.split.op_boundary},
          {"edge_ns", row.candidate.edge_latency_ns},
          {"tx_ns", unless_saturated(row.score.tx_ns)},
          {"server_ns", !asks ? Json(0) : known(server, row.candidate.server_latency_ns)},
          {"total_ns", unless_saturated(row.score.latency_ns)},
          {"bytes_up", row.candidate.needs_server ? row.bytes_up : 0},
          {"sent", sent_json(row)},
          {"codec", codec_json(row)},
          {"energy_uj", known(inputs.trade.has_energy, row.score.energy_uj)},
          {"cost_ueur", known(inputs.trade.has_prices, row.score.cost_ueur)},
          {"memory_bytes", row.candidate.edge_memory_bytes},
          {"ram_bytes", row.candidate.edge_ram_bytes + file_bytes},
          {"storage_bytes", unless_saturated(row.candidate.edge_storage_bytes)},
          {"feasible", row.score.broken == 0},
          {"broken", bounds_text(row.score.broken)},
          {"on_front", row.score.on_front},
          {"dominated_by", by ? Json(plan.splits[*by].split.layers_on_device) : Json(nullptr)},
          {"dominated_by_sent", by ? sent_json(plan.splits[*by]) : Json(nullptr)},
          {"dominated_by_codec", by ? codec_json(plan.splits[*by]) : Json(nullptr)},
          {"dominated_by_variant",
           by && !row.variant_name.empty() ? Json(plan.splits[*by].variant_name) : Json(nullptr)}};
}

Json edge_times_json(const PlanInputs& inputs) {
  const auto known = [](std::uint32_t value) { return value == 0 ? Json(nullptr) : Json(value); };
  return {{"source", edge_times_source_name(inputs.times_source)},
          {"note", inputs.times_note},
          {"measured_clock_khz", known(inputs.measured_speed.clock_khz)},
          {"clock_khz", known(inputs.speed.clock_khz)},
          {"measured_cores", known(inputs.measured_speed.cores)},
          {"cores", known(inputs.speed.cores)},
          {"scale_ppm", inputs.scale.apply(1'000'000)}};
}

Json bands_json(const Plan& plan, const PlanInputs& inputs) {
  Json json = Json::array();
  if (!inputs.link.available) return json;
  const std::vector<Way> ways = list_ways(plan, inputs.link);
  for (const BandwidthBand& band : bandwidth_bands(ways)) {
    json.push_back({{"from_bps", band.from_bps}, {"way", ways[band.way].description}});
  }
  return json;
}

std::string scale_text(const PlanInputs& inputs) {
  char text[200];
  std::snprintf(
      text, sizeof(text),
      "edge times are %.3f times the table's, which is of a clock of %s; it is %s now",
      static_cast<double>(inputs.scale.numerator) / static_cast<double>(inputs.scale.denominator),
      clock_text(inputs.measured_speed.clock_khz).c_str(),
      clock_text(inputs.speed.clock_khz).c_str());
  return text;
}

std::string mib_text(std::uint64_t bytes) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / 1048576);
  return text;
}

std::string disagreement_text(const PlannedSplit& row) {
  const std::uint32_t ppm = row.candidate.disagreement_ppm;
  if (ppm == UINT32_MAX) return "answers were not compared";
  char text[64];
  std::snprintf(text, sizeof(text), "up to %.4g %% other answers", static_cast<double>(ppm) / 1e4);
  return text;
}

std::string storage_text(const PlannedSplit& row) {
  if (row.candidate.edge_storage_bytes == UINT64_MAX) return "its weights are not here";
  return "needs " + mib_text(row.candidate.edge_storage_bytes) + " of storage";
}

// Why a split may not be chosen.
std::string broken_text(const PlannedSplit& row, const PlanInputs& inputs) {
  const std::uint64_t ram_bytes = row.candidate.edge_ram_bytes + inputs.forms.largest_file_bytes;
  const std::pair<planner::Bound, std::string> reasons[] = {
      {planner::kBoundRam, "needs " + mib_text(ram_bytes) + " of RAM"},
      {planner::kBoundStorage, storage_text(row)},
      {planner::kBoundServerAbsent, "needs a server"},
      {planner::kBoundPrivacyFloor, "below --min-split"},
      {planner::kBoundServerRefused, "no server is allowed"},
      {planner::kBoundDisagreement, disagreement_text(row)},
      {planner::kBoundDeadline, "past the deadline"},
      {planner::kBoundEnergy, "over the energy budget"},
      {planner::kBoundCost, "over the cost bound"}};
  std::string text;
  for (const auto& [bit, reason] : reasons) {
    if ((row.score.broken & bit) != 0) text += (text.empty() ? "" : ", ") + reason;
  }
  return text;
}

// What every split is held to.
std::string caps_text(const Device& device) {
  const auto cap = [](const char* name, const Cap& cap) {
    const bool known = cap.bytes != UINT64_MAX;
    return std::string(name) + " " + (known ? mib_text(cap.bytes) : "without end") + " (" +
           cap_source_name(cap.source) + ")";
  };
  return cap("RAM", device.caps.ram) + ", " + cap("storage", device.caps.storage);
}

// Whether one of the splits has what crosses coded.
bool has_codecs(const Plan& plan) {
  return std::ranges::any_of(plan.splits,
                             [](const PlannedSplit& row) { return row.codec() != CodecChoice{}; });
}

// The column of codecs: none where everything is raw.
std::string codec_cell(const Plan& plan, const PlannedSplit* row) {
  if (!has_codecs(plan)) return "";
  const bool has_one = row != nullptr && has_codec(*row);
  const std::string name = row == nullptr ? "codec" : has_one ? codec_name(row->codec()) : "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%-9s", name.c_str());
  return text;
}

std::string mark(const Plan& plan, std::size_t index, const PlanInputs& inputs) {
  if (plan.chosen == index) return "chosen";
  const PlannedSplit& row = plan.splits[index];
  if (row.score.broken != 0) return broken_text(row, inputs);
  if (row.score.on_front) return "on the front";
  const auto& by = plan.dominated_by[index];
  if (!by) return "as good as one on the front";
  const PlannedSplit& better = plan.splits[*by];
  const std::string number = std::to_string(better.split.layers_on_device);
  const bool both_send_pictures = row.split.op_boundary == 0 && better.split.op_boundary == 0;
  return "worse than " + number +
         (both_send_pictures ? std::string(" as ") + better.picture_form() : std::string()) +
         (has_codecs(plan) && has_codec(better) && better.codec() != row.codec()
              ? " as " + codec_name(better.codec())
              : std::string()) +
         (better.variant_name == row.variant_name ? "" : " in " + better.variant_name);
}

// A number of `width` and `decimals`; "-" where there is none.
std::string cell(bool known, double value, int width, int decimals) {
  char text[48];
  if (known) {
    std::snprintf(text, sizeof(text), "%*.*f", width, decimals, value);
  } else {
    std::snprintf(text, sizeof(text), "%*s", width, "-");
  }
  return text;
}

// The column of precisions: none where there is one alone.
std::string variant_cell(const Plan& plan, const std::string& name) {
  if (plan.splits[0].variant_name.empty()) return "";
  char text[32];
  std::snprintf(text, sizeof(text), "%-9s", name.c_str());
  return text;
}

double ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::string row_text(const Plan& plan, std::size_t index, const PlanInputs& inputs) {
  const PlannedSplit& row = plan.splits[index];
  const bool remote = row.candidate.needs_server;
  const bool known = !remote || inputs.link.available;
  char name[64];
  std::snprintf(name, sizeof(name), "%5u  %-26s ", row.split.layers_on_device,
                row.split.op_boundary == 0 ? row.picture_form() : row.layer.c_str());
  const std::string variant = variant_cell(plan, row.variant_name);
  std::string text =
      variant + name + codec_cell(plan, &row) +
      cell(true, ms(row.candidate.edge_latency_ns), 9, 2) +
      cell(known, ms(row.score.tx_ns), 10, 2) +
      cell(known, remote ? ms(row.candidate.server_latency_ns) : 0.0, 10, 2) +
      cell(known, ms(row.score.latency_ns), 10, 2) +
      cell(known, remote ? static_cast<double>(row.bytes_up) : 0.0, 12, 0) +
      cell(true, static_cast<double>(row.candidate.edge_memory_bytes) / 1048576, 10, 2);
  if (inputs.trade.has_energy)
    text += cell(known, static_cast<double>(row.score.energy_uj) / 1e3, 10, 1);
  if (inputs.trade.has_prices)
    text += cell(known, static_cast<double>(row.score.cost_ueur) / 1e6, 10, 2);
  return text + "  " + mark(plan, index, inputs) + "\n";
}

std::string header_text(const Plan& plan, const PlanInputs& inputs) {
  char name[64], text[128];
  std::snprintf(name, sizeof(name), "%5s  %-26s ", "split", "layer");
  std::snprintf(text, sizeof(text), "%9s %9s %9s %9s %11s %9s", "edge ms", "tx ms", "server ms",
                "total ms", "bytes up", "MiB");
  std::string header = variant_cell(plan, "variant") + name + codec_cell(plan, nullptr) + text;
  if (inputs.trade.has_energy) header += "        mJ";
  if (inputs.trade.has_prices) header += "   EUR/1e6";
  return header + "\n";
}

}  // namespace

void print_plan_json(const Plan& plan, const Device& device, const PlanInputs& inputs,
                     const std::vector<Baseline>& baselines, const CommandOptions& options) {
  Json json{{"model", device.model->header().name()->str()},
            {"policy", options.policy},
            {"objective", options.trade.objective},
            {"bounds", bounds_json(plan, inputs, options)},
            {"energy", energy_text(device.energy)},
            {"prices",
             {{"server_ueur_per_hour", inputs.trade.prices.server_ueur_per_hour},
              {"egress_ueur_per_gb", inputs.trade.prices.egress_ueur_per_gb},
              {"energy_ueur_per_kwh", inputs.trade.prices.energy_ueur_per_kwh},
              {"cost_is_of_pictures", inputs.trade.prices.requests}}},
            {"prefer", preference_name(options.preference)},
            {"link",
             {{"bandwidth_bps", inputs.link.bandwidth_bps},
              {"rtt_ns", inputs.link.rtt_ns},
              {"server", inputs.link.available},
              {"source", inputs.link_source}}},
            {"caps",
             {{"ram", cap_json(device.caps.ram)},
              {"storage", cap_json(device.caps.storage)},
              {"min_split", options.min_split}}},
            {"edge_times", edge_times_json(inputs)},
            {"ram",  // ram_bytes of a split is these and its memory_bytes
             {{"overhead_bytes", inputs.overhead_bytes},
              {"picture_bytes", inputs.forms.pixel_bytes + inputs.forms.largest_file_bytes}}}};
  json["splits"] = Json::array();
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    json["splits"].push_back(split_json(plan, i, inputs));
  }
  json["front"] = Json::array();
  for (const std::size_t index : plan.front) {
    Json point{{"split", plan.splits[index].split.layers_on_device},
               {"sent", sent_json(plan.splits[index])},
               {"codec", codec_json(plan.splits[index])}};
    if (!plan.splits[index].variant_name.empty()) {
      point["variant"] = plan.splits[index].variant_name;
    }
    point.update(traded_json(plan.splits[index].score, plan.decision.objectives));
    json["front"].push_back(std::move(point));
  }
  if (plan.decision.front_size > 0) {
    json["ideal"] = traded_json(plan.decision.ideal, plan.decision.objectives);
    json["nadir"] = traded_json(plan.decision.nadir, plan.decision.objectives);
  }
  json["baselines"] = Json::array();
  for (const Baseline& baseline : baselines) json["baselines"].push_back(baseline_json(baseline));
  json["fastest_by_bandwidth"] = bands_json(plan, inputs);
  json["choice"] = plan.chosen ? split_json(plan, *plan.chosen, inputs) : Json(nullptr);
  json["why"] = plan.why;
  if (!inputs.otherwise.empty()) json["why_without_what_if"] = inputs.otherwise;
  if (!inputs.variants_note.empty()) json["variants_note"] = inputs.variants_note;
  if (!inputs.codecs_note.empty()) json["codecs_note"] = inputs.codecs_note;
  if (!inputs.server_note.empty()) json["server_note"] = inputs.server_note;
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

void print_plan_text(const Plan& plan, const Device& device, const PlanInputs& inputs,
                     const std::vector<Baseline>& baselines) {
  std::printf("%s, uplink %.2f Mbit/s (%s), round trip %.2f ms\n",
              device.model->header().name()->c_str(),
              static_cast<double>(inputs.link.bandwidth_bps) / 1e6, inputs.link_source.c_str(),
              ms(inputs.link.rtt_ns));
  std::printf("at most: %s\n", caps_text(device).c_str());
  if (!inputs.server_note.empty()) std::printf("no server: %s\n", inputs.server_note.c_str());
  if (!inputs.variants_note.empty()) std::printf("%s\n", inputs.variants_note.c_str());
  if (!inputs.codecs_note.empty()) std::printf("%s\n", inputs.codecs_note.c_str());
  if (!inputs.times_note.empty()) std::printf("%s\n", inputs.times_note.c_str());
  if (!inputs.scale.is_one()) std::printf("%s\n", scale_text(inputs).c_str());
  if (inputs.trade.has_energy) std::printf("energy is %s\n", energy_text(device.energy).c_str());
  std::fputs(header_text(plan, inputs).c_str(), stdout);
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    std::fputs(row_text(plan, i, inputs).c_str(), stdout);
  }
  if (!inputs.otherwise.empty()) std::printf("without --what-if: %s\n", inputs.otherwise.c_str());
  std::printf("%s\n", plan.why.c_str());
  print_baselines(baselines, inputs);
  const std::vector<Way> ways = list_ways(plan, inputs.link);
  if (!inputs.link.available || ways.empty()) return;
  std::printf("\nFastest, by uplink: %s\n", bands_text(ways, bandwidth_bands(ways)).c_str());
}

}  // namespace cleave::agent
