// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_plot.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/agent/online_bench.h"

namespace cleave::agent {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++found;
  }
  return found;
}

}  // namespace

TEST_CASE("a plan is drawn with every split, the reason, and what the front trades") {
  const testing::OnlineBench bench;
  REQUIRE(bench.splits->set_server_table(bench.server_op_ns, 1).is_ok());
  PlanInputs inputs;
  inputs.link = {.bandwidth_bps = 8'000'000, .rtt_ns = 1, .available = true};
  inputs.conditions.link = inputs.link;
  const Plan plan = decide({bench.splits.get(), 1}, inputs);
  REQUIRE(plan.chosen.has_value());
  const std::string svg = plan_plot(plan, "a <model>", inputs);
  CHECK(svg.find("<svg") != std::string::npos);
  CHECK(svg.find("a &lt;model&gt;") != std::string::npos);
  CHECK(svg.find("Latency of every split") != std::string::npos);
  CHECK(svg.find("memory on the device, MiB") != std::string::npos);
  CHECK(svg.find(plan.why) != std::string::npos);
  // Bars of the device, the link and the server for each split but the last, which has one.
  const std::string alone =
      plan_plot(decide({bench.splits.get(), 1}, PlanInputs{}), "a <model>", PlanInputs{});
  const std::size_t others = count(alone, "<rect") - 1;  // page, legend, the choice: in both
  CHECK(count(svg, "<rect") == others + 3 * (plan.splits.size() - 1) + 1);

  inputs.trade.request.objectives.optimized = planner::Objective::kCost;
  inputs.conditions.prices.egress_ueur_per_gb = 1'000'000;
  CHECK(plan_plot(decide({bench.splits.get(), 1}, inputs), "m", inputs)
            .find("cost of a million pictures, EUR") != std::string::npos);
  inputs.trade.request.objectives.optimized = planner::Objective::kEnergy;
  inputs.conditions.energy.compute_uw = 1'000'000;
  CHECK(plan_plot(decide({bench.splits.get(), 1}, inputs), "m", inputs)
            .find("energy of the device (modelled)") != std::string::npos);
}

TEST_CASE("without a server only the device is drawn, and the reason stands below") {
  const testing::OnlineBench bench;
  PlanInputs inputs;
  inputs.server_note = "none was given";
  const std::string svg = plan_plot(decide({bench.splits.get(), 1}, inputs), "m", inputs);
  CHECK(svg.find("no server: none was given") != std::string::npos);
}

}  // namespace cleave::agent
