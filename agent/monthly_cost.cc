// SPDX-License-Identifier: Apache-2.0
#include "agent/monthly_cost.h"

#include <algorithm>

#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

using planner::saturating_add;
using planner::saturating_mul;

constexpr std::uint64_t kMilliwattHoursPerKwh = 1'000'000;
constexpr std::uint64_t kBytesPerGb = 1'000'000'000;
constexpr std::uint64_t kNsPerHour = 3600 * planner::kNsPerSecond;
constexpr std::uint64_t kNsPerMonth = kHoursPerMonth * kNsPerHour;

// a * b / c, half up.
std::uint64_t nearest(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  const planner::Quotient quotient = planner::divide(planner::full_product(a, b), c);
  const bool up = quotient.remainder != 0 && quotient.remainder >= c - quotient.remainder;
  return saturating_add(quotient.value, up ? 1 : 0);
}

}  // namespace

std::uint64_t MonthlyCost::total_micro_euro() const {
  return saturating_add(saturating_add(server_micro_euro, purchase_micro_euro),
                        saturating_add(energy_micro_euro, traffic_micro_euro));
}

// The fleet's milliwatt hours, bytes and purchases are added up before the one rounding: a device's
// own cents, times thousands, would not be the fleet's.
MonthlyCost monthly_cost(const MonthlyPrices& prices, const DeviceCost& device,
                         const FleetLoad& load) {
  MonthlyCost cost;
  cost.server_micro_euro = saturating_mul(load.instances, prices.instance_micro_euro_per_month);
  cost.purchase_micro_euro =
      nearest(load.devices, device.purchase_micro_euro, device.lifetime_months);
  const std::uint64_t fleet_mw = saturating_mul(load.devices, device.mean_power_mw);
  cost.energy_micro_euro = energy_micro_euro(prices, saturating_mul(fleet_mw, kHoursPerMonth));
  cost.traffic_micro_euro =
      traffic_micro_euro(prices, saturating_mul(load.devices, load.traffic_bytes_per_device));
  return cost;
}

std::uint64_t users_per_instance(std::uint64_t cpu_ns_per_request, std::uint64_t request_period_ns,
                                 std::uint64_t cpu_budget_ppm) {
  return planner::saturating_muldiv_down(request_period_ns, cpu_budget_ppm,
                                         saturating_mul(cpu_ns_per_request, kPartsPerMillion));
}

std::uint64_t instances_needed(std::uint64_t users, std::uint64_t per_instance) {
  return planner::saturating_muldiv_up(users, 1, per_instance);
}

std::uint64_t server_time_micro_euro(const MonthlyPrices& prices, std::uint64_t cpu_ns,
                                     std::uint64_t cpu_budget_ppm) {
  const std::uint64_t usable_ns =
      planner::saturating_muldiv_down(kNsPerMonth, cpu_budget_ppm, kPartsPerMillion);
  return nearest(cpu_ns, prices.instance_micro_euro_per_month, usable_ns);
}

planner::Prices planner_prices(const MonthlyPrices& prices, std::uint64_t cpu_budget_ppm) {
  return {.server_ueur_per_hour = server_time_micro_euro(prices, kNsPerHour, cpu_budget_ppm),
          .egress_ueur_per_gb = prices.traffic_micro_euro_per_gb,
          .energy_ueur_per_kwh = prices.energy_micro_euro_per_kwh};
}

std::uint64_t energy_micro_euro(const MonthlyPrices& prices, std::uint64_t milliwatt_hours) {
  return nearest(milliwatt_hours, prices.energy_micro_euro_per_kwh, kMilliwattHoursPerKwh);
}

std::uint64_t traffic_micro_euro(const MonthlyPrices& prices, std::uint64_t bytes) {
  return nearest(bytes, prices.traffic_micro_euro_per_gb, kBytesPerGb);
}

std::string euro_text(std::uint64_t micro_euro, int decimals) {
  std::uint64_t unit = 1;  // micro-euro in the last digit
  const int digits = std::clamp(decimals, 0, 6);
  for (int i = digits; i < 6; ++i) unit *= 10;
  const std::uint64_t rounded = micro_euro / unit + (micro_euro % unit * 2 >= unit ? 1 : 0);
  std::string text = std::to_string(rounded);
  if (digits == 0) return text;
  const auto places = static_cast<std::size_t>(digits);
  if (text.size() <= places) text.insert(0, places + 1 - text.size(), '0');
  return text.insert(text.size() - places, 1, '.');
}

}  // namespace cleave::agent
