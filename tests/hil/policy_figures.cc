// SPDX-License-Identifier: Apache-2.0
#include "agent/svg_chart.h"
#include "tests/hil/literal_study.h"
#include "tests/hil/study.h"

namespace cleave::study {
namespace {

Platform comparison_platform() {
  Platform platform;
  platform.edge_storage_bytes = 16'000'000'000;
  return platform;
}

struct NamedChooser {
  std::string name;
  Chooser chooser;
};

std::vector<NamedChooser> policies() {
  using planner::Policy;
  return {
      {"LMOS, literal, k < L", literal_split()}, {"LMOS, within 11/10", within(11, 10)},
      {"LOA", baseline(Policy::kLatencyOnly)},   {"ECO", baseline(Policy::kEdgeOnly)},
      {"SCO", baseline(Policy::kServerOnly)},    {"RS, one draw", baseline(Policy::kRandom, 1)}};
}

// Bars of each policy for each network.
agent::BarChart policy_chart(const std::vector<NetworkTable>& networks, const std::string& title,
                             const agent::ChartAxis& y, double (*value)(const Outcome&)) {
  agent::BarChart chart;
  chart.title = title;
  chart.x_title = "network";
  chart.y = y;
  for (const NetworkTable& network : networks) chart.categories.push_back(network.name);
  for (const NamedChooser& policy : policies()) {
    agent::BarSeries series{.name = policy.name};
    for (const NetworkTable& network : networks) {
      series.values.push_back(value(choose(network, comparison_platform(), policy.chooser)));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// Edge, link and server of every split, the default choice with a band behind it.
agent::BarChart stack_chart(const NetworkTable& network) {
  agent::BarChart chart;
  chart.title = network.name + ": latency of every split";
  chart.x_title = "layers on the edge";
  chart.y = {"latency, s"};
  chart.stacked = true;
  chart.series = {{"edge"}, {"link"}, {"server"}};
  for (const Outcome& o : all_splits(network, comparison_platform())) {
    chart.categories.push_back(std::to_string(o.k));
    chart.series[0].values.push_back(static_cast<double>(o.edge_ns) / 1e9);
    chart.series[1].values.push_back(static_cast<double>(o.tx_ns) / 1e9);
    chart.series[2].values.push_back(static_cast<double>(o.server_ns) / 1e9);
  }
  chart.highlighted = choose(network, comparison_platform(), within(11, 10)).k;
  return chart;
}

agent::XyChart front_chart(const NetworkTable& network) {
  agent::ChartSeries all{.name = "dominated", .mark = agent::SeriesMark::kDots};
  agent::ChartSeries front{.name = "Pareto front"};
  const auto point = [](const Outcome& o) {
    return agent::ChartPoint{static_cast<double>(o.memory_bytes) / 1e6,
                             static_cast<double>(o.latency_ns) / 1e9};
  };
  std::vector<bool> on_front(network.layers.size() + 1);
  for (const Outcome& o : pareto_front(network, comparison_platform())) {
    front.points.push_back(point(o));
    on_front[o.k] = true;
  }
  for (const Outcome& o : all_splits(network, comparison_platform())) {
    if (!on_front[o.k]) all.points.push_back(point(o));
  }
  agent::XyChart chart;
  chart.title = network.name + ": the Pareto front";
  chart.x = {"edge memory f2, MB"};
  chart.y = {"latency f1, s"};
  chart.series = {front, all};
  return chart;
}

}  // namespace

std::vector<StudyFile> policy_figures(const std::vector<NetworkTable>& networks) {
  agent::ChartPage policies_page;
  policies_page.title = "Policies at 10 Mbit/s and 16 GB";
  const auto logarithmic = agent::AxisScale::kLogarithmic;
  policies_page.charts = {
      policy_chart(networks, "Latency", {"latency, s", logarithmic},
                   [](const Outcome& o) { return static_cast<double>(o.latency_ns) / 1e9; }),
      policy_chart(networks, "Edge memory", {"f2, MB", logarithmic},
                   [](const Outcome& o) { return static_cast<double>(o.memory_bytes) / 1e6; })};
  policies_page.notes = {"Literal formulas. No bar: no memory of the edge is used (k = 0)."};
  agent::ChartPage splits_page;
  splits_page.title = "Every split at 10 Mbit/s";
  for (const NetworkTable& network : networks) {
    if (network.name == "vgg13" || network.name == "vgg19") continue;
    splits_page.charts.emplace_back(stack_chart(network));
    splits_page.charts.emplace_back(front_chart(network));
  }
  splits_page.notes = {
      "Literal formulas, 16 GB. The band is the deepest split within 11/10 of the "
      "least latency."};
  return {{"study_policies.svg", agent::render_svg(policies_page)},
          {"study_splits.svg", agent::render_svg(splits_page)}};
}

}  // namespace cleave::study
