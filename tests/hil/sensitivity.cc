// SPDX-License-Identifier: Apache-2.0
//
// One parameter after the other is swept over its range, the others keep their defaults.
#include <functional>

#include "agent/svg_chart.h"
#include "tests/hil/literal_study.h"
#include "tests/hil/study.h"
#include "tests/hil/text_table.h"

namespace cleave::study {
namespace {

constexpr std::uint64_t kMega = 1'000'000;

struct Sweep {
  std::string name;  // with its unit
  std::vector<std::uint64_t> values;
  std::uint64_t unit;  // that `values` are printed in, to `decimals`
  int decimals;
  agent::AxisScale scale;
  std::function<void(Platform&, std::uint64_t)> set;
};

Sweep bandwidth_sweep() {
  return {"bandwidth, Mbit/s",
          {1, 2, 5, 10, 20, 50, 100, 200},
          1,
          0,
          agent::AxisScale::kLogarithmic,
          [](Platform& p, std::uint64_t mbit) { p.bandwidth_bps = mbit * kMega; }};
}

// From 256 MB on it is the paper's range.
Sweep storage_sweep() {
  return {"edge storage, MB",
          {32, 64, 128, 256, 1000, 4000, 16000},
          1,
          0,
          agent::AxisScale::kLogarithmic,
          [](Platform& p, std::uint64_t mb) { p.edge_storage_bytes = mb * kMega; }};
}

std::vector<Sweep> processor_sweeps() {
  const std::vector<std::uint64_t> cores = {1, 2, 4, 8};
  const auto linear = agent::AxisScale::kLinear;
  return {{"edge clock, GHz",
           {1000, 1250, 1500, 1750, 2000},
           1000,
           2,
           linear,
           [](Platform& p, std::uint64_t mhz) { p.edge.clock_hz = mhz * kMega; }},
          {"edge cores", cores, 1, 0, linear,
           [](Platform& p, std::uint64_t n) { p.edge.cores = static_cast<std::uint32_t>(n); }},
          {"server clock, GHz",
           {1500, 2000, 2600, 3200},
           1000,
           2,
           linear,
           [](Platform& p, std::uint64_t mhz) { p.server.clock_hz = mhz * kMega; }},
          {"server cores", cores, 1, 0, linear,
           [](Platform& p, std::uint64_t n) { p.server.cores = static_cast<std::uint32_t>(n); }}};
}

std::string value_text(const Sweep& sweep, std::uint64_t value) {
  return sweep.decimals == 0 ? std::to_string(value)
                             : fixed_text(value, sweep.unit, sweep.decimals);
}

Platform platform_at(const Sweep& sweep, std::uint64_t value) {
  Platform platform;
  sweep.set(platform, value);
  return platform;
}

std::string cell(const NetworkTable& network, const Platform& platform) {
  std::string text;
  for (const Chooser& chooser : {literal(), within(2, 1), within(11, 10)}) {
    text += (text.empty() ? "" : "/") + std::to_string(choose(network, platform, chooser).k);
  }
  return text;
}

Outcome fastest(const NetworkTable& network, const Platform& platform) {
  return choose(network, platform, baseline(planner::Policy::kLatencyOnly));
}

std::string sweep_table(const Sweep& sweep, const std::vector<NetworkTable>& networks,
                        const std::string& what,
                        std::string (*cell_text)(const NetworkTable&, const Platform&)) {
  std::vector<std::string> header = {sweep.name + ": " + what};
  for (const NetworkTable& network : networks) header.push_back(network.name);
  TextTable table(header);
  for (const std::uint64_t value : sweep.values) {
    std::vector<std::string> row = {value_text(sweep, value)};
    for (const NetworkTable& network : networks) {
      row.push_back(cell_text(network, platform_at(sweep, value)));
    }
    table.add(row);
  }
  return table.text() + "\n";
}

std::string sweep_text(const Sweep& sweep, const std::vector<NetworkTable>& networks) {
  return sweep_table(sweep, networks, "layers", cell) +
         sweep_table(sweep, networks, "least ms",
                     [](const NetworkTable& network, const Platform& platform) {
                       return milliseconds(fastest(network, platform).latency_ns);
                     });
}

// A line for each network of what `value` makes of it.
agent::XyChart chart(const Sweep& sweep, const std::vector<NetworkTable>& networks,
                     const std::string& title, const agent::ChartAxis& y,
                     const std::function<double(const NetworkTable&, const Platform&)>& value) {
  agent::XyChart result;
  result.title = title;
  result.x = {sweep.name, sweep.scale};
  result.y = y;
  for (const NetworkTable& network : networks) {
    agent::ChartSeries series{.name = network.name};
    for (const std::uint64_t at : sweep.values) {
      series.points.push_back({static_cast<double>(at) / static_cast<double>(sweep.unit),
                               value(network, platform_at(sweep, at))});
    }
    result.series.push_back(std::move(series));
  }
  return result;
}

agent::XyChart layers_chart(const Sweep& sweep, const std::vector<NetworkTable>& networks,
                            const Chooser& chooser, const std::string& title) {
  return chart(sweep, networks, title, {"layers on the edge, % of L"},
               [&](const NetworkTable& network, const Platform& platform) {
                 return 100.0 * static_cast<double>(choose(network, platform, chooser).k) /
                        static_cast<double>(network.layers.size());
               });
}

agent::XyChart latency_chart(const Sweep& sweep, const std::vector<NetworkTable>& networks,
                             const Chooser& chooser, const std::string& title) {
  return chart(sweep, networks, title, {"latency, s", agent::AxisScale::kLogarithmic},
               [&](const NetworkTable& network, const Platform& platform) {
                 return static_cast<double>(choose(network, platform, chooser).latency_ns) / 1e9;
               });
}

}  // namespace

std::string sensitivity_text(const std::vector<NetworkTable>& networks) {
  std::string out = heading("Sensitivity (Table 1, Figures 2 and 3)");
  out +=
      "Networks of that many layers, made up as tests/hil/network_table.h says: the paper's own "
      "are\n"
      "not described, and no numbers of theirs are at hand to set beside ours. \"layers\": on the "
      "edge\n"
      "by the literal rank / within twice / within 11/10 of the least latency; \"least ms\": that\n"
      "latency. All else is at its default; the paper's storages begin at 256 MB.\n\n";
  TextTable sizes({"network", "multiply-adds, M", "weights, MB", "f2(L), MB"});
  for (const NetworkTable& network : networks) {
    sizes.add({network.name, std::to_string(network.multiply_adds() / kMega),
               megabytes(network.weight_bytes()),
               megabytes(network.head_memory_bytes(network.layers.size()))});
  }
  out += sizes.text() + "\n" + sweep_text(bandwidth_sweep(), networks) +
         sweep_text(storage_sweep(), networks);
  for (const Sweep& sweep : processor_sweeps()) out += sweep_text(sweep, networks);
  return out;
}

std::vector<StudyFile> sensitivity_figures(const std::vector<NetworkTable>& networks) {
  const Chooser loa = baseline(planner::Policy::kLatencyOnly);
  const std::string twice = "Deepest split within twice the least latency";
  agent::ChartPage links;
  links.title = "Sensitivity to bandwidth and edge storage, networks of 10 to 220 layers";
  links.charts = {layers_chart(bandwidth_sweep(), networks, within(2, 1), twice),
                  latency_chart(bandwidth_sweep(), networks, loa, "Least latency"),
                  layers_chart(storage_sweep(), networks, literal(), "Algorithm 1 as published"),
                  latency_chart(storage_sweep(), networks, literal(), "Algorithm 1 as published")};
  links.notes = {
      "Literal formulas; defaults: 10 Mbit/s, 8000 MB, edge 2 x 1.5 GHz, server 8 x 2.6 "
      "GHz. The paper's range of storage begins at 256 MB."};
  agent::ChartPage processors;
  processors.title = "Sensitivity to clocks and cores, networks of 10 to 220 layers";
  for (const Sweep& sweep : processor_sweeps()) {
    processors.charts.emplace_back(layers_chart(sweep, networks, within(2, 1), twice));
    processors.charts.emplace_back(latency_chart(sweep, networks, loa, "Least latency"));
  }
  processors.notes = {
      "Literal formulas; what is not swept: 10 Mbit/s, 8000 MB, edge 2 x 1.5 GHz, "
      "server 8 x 2.6 GHz."};
  return {{"study_sensitivity_link.svg", agent::render_svg(links)},
          {"study_sensitivity_processor.svg", agent::render_svg(processors)}};
}

}  // namespace cleave::study
