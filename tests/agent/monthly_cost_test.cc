// SPDX-License-Identifier: Apache-2.0
//
// The published tables themselves are held by tests/hil; here are the edges of the arithmetic.
#include "agent/monthly_cost.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

using namespace cleave::agent;

namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kEuro = 1'000'000;

}  // namespace

TEST_CASE("a fleet's month is the sum of its four parts") {
  const MonthlyPrices prices{.instance_micro_euro_per_month = 7'527'000,
                             .energy_micro_euro_per_kwh = 200'000,
                             .traffic_micro_euro_per_gb = 1'500'000};
  const DeviceCost device{
      .purchase_micro_euro = 122 * kEuro, .lifetime_months = 12, .mean_power_mw = 10'000};
  const MonthlyCost cost = monthly_cost(
      prices, device, {.devices = 5000, .instances = 22, .traffic_bytes_per_device = 200'000'000});
  CHECK(cost.server_micro_euro == 165'594'000);
  CHECK(cost.purchase_micro_euro == 50'833'333'333);  // 610000 / 12 = 50833.3333...
  CHECK(cost.energy_micro_euro == 7300 * kEuro);      // 5000 x 7.3 kWh x 0.20
  CHECK(cost.traffic_micro_euro == 1500 * kEuro);     // 1000 GB
  CHECK(cost.total_micro_euro() == 59'798'927'333);
}

TEST_CASE("parts are rounded once, half up, for the fleet as a whole") {
  const DeviceCost device{.purchase_micro_euro = 1, .lifetime_months = 4, .mean_power_mw = 0};
  CHECK(monthly_cost({}, device, {.devices = 1}).purchase_micro_euro == 0);
  CHECK(monthly_cost({}, device, {.devices = 2}).purchase_micro_euro == 1);
  CHECK(monthly_cost({}, device, {.devices = 5000}).purchase_micro_euro == 1250);
  const MonthlyPrices prices{.energy_micro_euro_per_kwh = 200'000};
  CHECK(energy_micro_euro(prices, 2) == 0);
  CHECK(energy_micro_euro(prices, 3) == 1);
}

TEST_CASE("users per instance follow from the CPU time of a request") {
  // 33 ms every second: 28 users take 92.4 % of the CPU, 29 would take 95.7 %.
  CHECK(users_per_instance(33'000'000, 1'000'000'000, 950'000) == 28);
  // Exactly at the budget is within it.
  CHECK(users_per_instance(95'000'000, 1'000'000'000, 950'000) == 10);
  CHECK(users_per_instance(95'000'001, 1'000'000'000, 950'000) == 9);
  CHECK(users_per_instance(2'000'000'000, 1'000'000'000, 950'000) == 0);
  CHECK(users_per_instance(0, 1'000'000'000, 950'000) == kMost);
}

TEST_CASE("a part of an instance is a whole one") {
  CHECK(instances_needed(0, 10) == 0);
  CHECK(instances_needed(1, 10) == 1);
  CHECK(instances_needed(10, 10) == 1);
  CHECK(instances_needed(11, 10) == 2);
  CHECK(instances_needed(11, kMost) == 1);
  CHECK(instances_needed(1, 0) == kMost);
}

TEST_CASE("server time has the share of the price that it takes of the usable month") {
  const MonthlyPrices prices{.instance_micro_euro_per_month = 7'300'000};
  const std::uint64_t hour_ns = 3'600'000'000'000;
  CHECK(server_time_micro_euro(prices, hour_ns, kPartsPerMillion) == 10'000);
  CHECK(server_time_micro_euro(prices, hour_ns, kPartsPerMillion / 2) == 20'000);
  CHECK(server_time_micro_euro(prices, 0, kPartsPerMillion) == 0);
  CHECK(server_time_micro_euro(prices, 1, 0) == kMost);
}

TEST_CASE("what does not fit saturates instead of wrapping") {
  const MonthlyPrices dear{.instance_micro_euro_per_month = kMost,
                           .energy_micro_euro_per_kwh = kMost,
                           .traffic_micro_euro_per_gb = kMost};
  const DeviceCost device{
      .purchase_micro_euro = kMost, .lifetime_months = 1, .mean_power_mw = kMost};
  const FleetLoad load{.devices = 2, .instances = 2, .traffic_bytes_per_device = kMost};
  const MonthlyCost cost = monthly_cost(dear, device, load);
  CHECK(cost.server_micro_euro == kMost);
  CHECK(cost.purchase_micro_euro == kMost);
  CHECK(cost.energy_micro_euro == kMost);
  CHECK(cost.traffic_micro_euro == kMost);
  CHECK(cost.total_micro_euro() == kMost);
  CHECK(monthly_cost({}, {.purchase_micro_euro = 1, .lifetime_months = 0}, {.devices = 1})
            .total_micro_euro() == kMost);
}

TEST_CASE("money as text is rounded half up") {
  CHECK(euro_text(0) == "0.00");
  CHECK(euro_text(4'999) == "0.00");
  CHECK(euro_text(5'000) == "0.01");
  CHECK(euro_text(61'896'833'333) == "61896.83");
  CHECK(euro_text(999'995'000) == "1000.00");
  CHECK(euro_text(165'594'000, 3) == "165.594");
  CHECK(euro_text(1, 6) == "0.000001");
  CHECK(euro_text(1'499'999, 0) == "1");
  CHECK(euro_text(kMost, 0) == "18446744073710");
  CHECK(euro_text(kMost, 6) == "18446744073709.551615");
}
