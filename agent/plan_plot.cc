// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_plot.h"

#include "agent/codec_option.h"
#include "agent/svg_chart.h"
#include "schemas/atomic_file.h"

namespace cleave::agent {
namespace {

using planner::Objective;

double to_ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

BarChart latency_chart(const Plan& plan, bool server) {
  BarChart chart{.title = "Latency of every split",
                 .x_title = "layers on the device",
                 .y = {.title = "latency, ms"},
                 .series = {{.name = "device"}, {.name = "link"}, {.name = "server"}},
                 .stacked = true};
  const bool sends_files = std::ranges::any_of(
      plan.splits, [](const PlannedSplit& row) { return row.candidate.sends_jpeg; });
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const PlannedSplit& row = plan.splits[i];
    if (row.candidate.needs_server && !server) continue;
    if (plan.chosen == i) chart.highlighted = chart.categories.size();
    const std::string precision = row.variant_name.empty() ? "" : " " + row.variant_name;
    const bool is_coded = row.codec() != CodecChoice{};
    const std::string form = !sends_files || row.split.op_boundary > 0 || is_coded ? ""
                             : row.candidate.sends_jpeg                            ? " file"
                                                                                   : " pixels";
    const std::string codec = is_coded ? " " + codec_name(row.codec()) : "";
    chart.categories.push_back(std::to_string(row.split.layers_on_device) + form + codec +
                               precision);
    chart.series[0].values.push_back(to_ms(row.candidate.edge_latency_ns));
    const bool remote = row.candidate.needs_server;
    chart.series[1].values.push_back(remote ? to_ms(row.score.tx_ns) : 0);
    chart.series[2].values.push_back(remote ? to_ms(row.candidate.server_latency_ns) : 0);
  }
  return chart;
}

// What the front trades latency for, as an axis has it.
double amount(const planner::Score& score, Objective objective) {
  switch (objective) {
    case Objective::kEnergy:
      return static_cast<double>(score.energy_uj) / 1e3;
    case Objective::kCost:
      return static_cast<double>(score.cost_ueur) / 1e6;
    case Objective::kLatency:
    case Objective::kEdgeMemory:
      break;
  }
  return static_cast<double>(score.memory_bytes) / 1048576;
}

const char* amount_title(Objective objective) {
  switch (objective) {
    case Objective::kEnergy:
      return "energy of the device (modelled), mJ";
    case Objective::kCost:
      return "cost of a million pictures, EUR";
    case Objective::kLatency:
    case Objective::kEdgeMemory:
      break;
  }
  return "memory on the device, MiB";
}

XyChart front_chart(const Plan& plan) {
  const Objective objective = plan.decision.objectives.optimized;
  XyChart chart{.title = "The front",
                .x = {.title = "latency, ms", .scale = AxisScale::kLogarithmic},
                .y = {.title = amount_title(objective)},
                .series = {{.name = "other splits", .mark = SeriesMark::kDots},
                           {.name = "front", .mark = SeriesMark::kLineAndDots},
                           {.name = "chosen", .mark = SeriesMark::kDots}}};
  const auto point = [&](std::size_t index) {
    const planner::Score& score = plan.splits[index].score;
    return ChartPoint{.x = to_ms(score.latency_ns), .y = amount(score, objective)};
  };
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const planner::Score& score = plan.splits[i].score;
    if (score.broken == 0 && !score.on_front) chart.series[0].points.push_back(point(i));
  }
  for (const std::size_t index : plan.front) chart.series[1].points.push_back(point(index));
  if (plan.chosen) chart.series[2].points.push_back(point(*plan.chosen));
  return chart;
}

}  // namespace

std::string plan_plot(const Plan& plan, const std::string& model, const PlanInputs& inputs) {
  ChartPage page{.title = model, .notes = {plan.why}, .columns = 2};
  if (!inputs.server_note.empty()) page.notes.push_back("no server: " + inputs.server_note);
  if (!inputs.times_note.empty()) page.notes.push_back(inputs.times_note);
  page.charts.emplace_back(latency_chart(plan, inputs.link.available));
  page.charts.emplace_back(front_chart(plan));
  return render_svg(page);
}

Status write_plan_plot(const std::string& path, const Plan& plan, const Device& device,
                       const PlanInputs& inputs) {
  const std::string svg = plan_plot(plan, device.model->header().name()->str(), inputs);
  return write_file_atomically(path, std::as_bytes(std::span(svg)));
}

}  // namespace cleave::agent
