// SPDX-License-Identifier: Apache-2.0
//
// Leroy and Goedemé's cost tables, by the model of `agent/monthly_cost.h`, which `plan --objective
// cost` counts with too.
#include "agent/monthly_cost.h"
#include "agent/svg_chart.h"
#include "tests/hil/published.h"
#include "tests/hil/study.h"
#include "tests/hil/text_table.h"

namespace cleave::study {
namespace {

using agent::euro_text;
using published::Board;
using published::Mechanism;

constexpr std::uint64_t kBudgetPpm = published::kCpuBudgetPpm;

agent::MonthlyPrices prices() {
  return {.instance_micro_euro_per_month = published::kInstanceMicroEuro,
          .energy_micro_euro_per_kwh = published::kKwhMicroEuro,
          .traffic_micro_euro_per_gb = 0};
}

agent::MonthlyCost month(const Mechanism& mechanism, const Board& board, std::uint64_t power_mw) {
  return agent::monthly_cost(
      prices(),
      {.purchase_micro_euro = board.purchase_micro_euro,
       .lifetime_months = published::kLifetimeMonths,
       .mean_power_mw = power_mw},
      {.devices = published::kUsers,
       .instances = agent::instances_needed(published::kUsers, mechanism.users_per_instance),
       .traffic_bytes_per_device = 0});
}

// The power that makes the printed energy of a month.
std::uint64_t printed_power_mw(const Board& board) {
  return board.energy_micro_euro * 1'000'000 / published::kKwhMicroEuro / agent::kHoursPerMonth;
}

std::string verdict(const std::string& ours, const std::string& theirs) {
  return ours == theirs ? "same" : "differs";
}

std::string server_text() {
  TextTable table({"mechanism", "users/instance", "CPU of a user, %", "instances", "theirs",
                   "EUR a month", "theirs", "EUR a user", "theirs", ""});
  for (const Mechanism& m : published::kMechanisms) {
    const std::uint64_t instances =
        agent::instances_needed(published::kUsers, m.users_per_instance);
    const std::uint64_t cost = month(m, published::kNano, 0).server_micro_euro;
    const std::string ours = euro_text(cost / published::kUsers, 4);
    const std::string theirs = euro_text(m.server_per_user_micro_euro, 4);
    table.add({m.name, std::to_string(m.users_per_instance),
               fixed_text(kBudgetPpm, (m.users_per_instance + 1) * 10'000, 3) + " to " +
                   fixed_text(kBudgetPpm, m.users_per_instance * 10'000, 3),
               std::to_string(instances), std::to_string(m.instances), euro_text(cost, 3),
               euro_text(m.server_micro_euro, 3), ours, theirs, verdict(ours, theirs)});
  }
  return table.text();
}

std::string board_text(const Board& board, std::uint64_t Mechanism::*published_total) {
  TextTable table({"mechanism", "servers", "purchase", "energy", "total, EUR", "theirs", "",
                   "total at the stated power"});
  for (const Mechanism& m : published::kMechanisms) {
    const agent::MonthlyCost cost = month(m, board, printed_power_mw(board));
    const std::string ours = euro_text(cost.total_micro_euro());
    const std::string theirs = euro_text(m.*published_total);
    table.add({m.name, euro_text(cost.server_micro_euro), euro_text(cost.purchase_micro_euro),
               euro_text(cost.energy_micro_euro), ours, theirs, verdict(ours, theirs),
               euro_text(month(m, board, board.power_mw).total_micro_euro())});
  }
  const std::uint64_t stated =
      agent::energy_micro_euro(prices(), board.power_mw * agent::kHoursPerMonth);
  return heading(std::string(board.name) + ": EUR " + euro_text(board.purchase_micro_euro, 0) +
                 " each, " + fixed_text(board.power_mw, 1'000'000, 4) + " kW") +
         "A device's energy in a month: EUR " + euro_text(stated, 4) + " by its power, EUR " +
         euro_text(board.energy_micro_euro) + " as printed,\nwhich is " +
         fixed_text(printed_power_mw(board), 1'000'000, 4) +
         " kW. The totals use what is printed, the last column the power.\n\n" + table.text();
}

std::string study_text() {
  std::string out =
      "Edge and cloud cost, repeated\n"
      "=============================\n"
      "Leroy and Goedeme, ICAART 2021: a MobileNetV2 litter classifier, 5000 users, t2.micro\n"
      "instances at EUR 7.527 a month and 95 % CPU, EUR 0.20 per kWh, 730 hours a month, purchase\n"
      "spread over 12 months. By agent/monthly_cost.h, in integer micro-euro.\n";
  out += heading("Servers");
  out +=
      "Users per instance were measured there, and are taken from there; the CPU share is what "
      "they\n"
      "imply at 95 %.\n\n";
  out += server_text();
  out += board_text(published::kNano, &Mechanism::nano_total_micro_euro);
  out += board_text(published::kPi, &Mechanism::pi_total_micro_euro);
  out += heading("Where they differ");
  out +=
      "- Instances, server costs and the ten totals are the printed ones to the last digit.\n"
      "- Cost of a user, cloud only: 3763.5 / 5000 is 0.7527 exactly; 0.7526 is printed. Split "
      "13:\n"
      "  263.445 / 5000 is 0.052689; 0.0526 is printed, cut off; the other three come out\n"
      "  alike, rounded or cut off.\n"
      "- Energy of a Raspberry Pi: 0.0051 kW for 730 h at EUR 0.20 are EUR 0.7446; 0.73 is "
      "printed\n"
      "  and used, which is 0.0050 kW. By the power stated every total of that board is EUR 73.00\n"
      "  higher; the order of the mechanisms stays.\n";
  return out;
}

agent::BarChart board_chart(const Board& board) {
  agent::BarChart chart;
  chart.title = board.name;
  chart.x_title = "mechanism";
  chart.y = {"EUR 1000 a month, 5000 devices"};
  chart.stacked = true;
  chart.series = {{"purchase / 12"}, {"energy"}, {"servers"}};
  for (const Mechanism& m : published::kMechanisms) {
    const agent::MonthlyCost cost = month(m, board, printed_power_mw(board));
    chart.categories.emplace_back(m.name);
    const auto thousands = [](std::uint64_t micro_euro) {
      return static_cast<double>(micro_euro) / 1e9;
    };
    chart.series[0].values.push_back(thousands(cost.purchase_micro_euro));
    chart.series[1].values.push_back(thousands(cost.energy_micro_euro));
    chart.series[2].values.push_back(thousands(cost.server_micro_euro));
  }
  return chart;
}

}  // namespace

std::vector<StudyFile> cost_study() {
  agent::ChartPage page;
  page.title = "Monthly cost of five mechanisms";
  page.charts = {board_chart(published::kNano), board_chart(published::kPi)};
  return {{"study_cost.txt", study_text()}, {"study_cost.svg", agent::render_svg(page)}};
}

}  // namespace cleave::study
