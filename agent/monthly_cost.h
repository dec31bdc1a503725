// SPDX-License-Identifier: Apache-2.0
//
// What a fleet of devices and the servers behind it cost in a month:
//
//   instances x price + purchase spread over the lifetime + energy + traffic
//
// The model of Leroy and Goedemé, "Optimal Distribution of CNN Computations on Edge and Cloud",
// ICAART 2021, with the user's own prices. Integers in micro-euro (any other currency's millionth
// does as well). Each part is rounded once, half up, to a micro-euro; what does not fit in 64 bits,
// and a division by zero, saturate at UINT64_MAX, which reads as "dearer than anything". Pure
// functions: any thread.
#pragma once

#include <cstdint>
#include <string>

#include "planner/conditions.h"

namespace cleave::agent {

// A twelfth of a year of 365 days; what providers and the study count.
inline constexpr std::uint64_t kHoursPerMonth = 730;
inline constexpr std::uint64_t kPartsPerMillion = 1'000'000;

struct MonthlyPrices {
  std::uint64_t instance_micro_euro_per_month = 0;  // one server instance, always on
  std::uint64_t energy_micro_euro_per_kwh = 0;
  std::uint64_t traffic_micro_euro_per_gb = 0;  // of the device's link; GB is 1e9 bytes
};

struct DeviceCost {
  std::uint64_t purchase_micro_euro = 0;
  std::uint64_t lifetime_months = 12;  // over which the purchase is spread; 0 saturates
  std::uint64_t mean_power_mw = 0;     // over the whole month, idle time included
};

// What a month asks of the fleet.
struct FleetLoad {
  std::uint64_t devices = 0;
  std::uint64_t instances = 0;  // instances_needed(), or 0 where nothing needs a server
  std::uint64_t traffic_bytes_per_device = 0;
};

// Of the whole fleet.
struct MonthlyCost {
  std::uint64_t server_micro_euro = 0;
  std::uint64_t purchase_micro_euro = 0;
  std::uint64_t energy_micro_euro = 0;
  std::uint64_t traffic_micro_euro = 0;

  // The sum, saturating.
  [[nodiscard]] std::uint64_t total_micro_euro() const;
};

[[nodiscard]] MonthlyCost monthly_cost(const MonthlyPrices& prices, const DeviceCost& device,
                                       const FleetLoad& load);

// How many users, each asking once in `request_period_ns`, one CPU can serve when it may be busy
// for `cpu_budget_ppm` of the time and a request keeps it busy for `cpu_ns_per_request`. Rounded
// down; 0 when even one is too many; saturated when a request costs nothing.
[[nodiscard]] std::uint64_t users_per_instance(std::uint64_t cpu_ns_per_request,
                                               std::uint64_t request_period_ns,
                                               std::uint64_t cpu_budget_ppm);

// Whole instances for `users`; saturated when one instance serves nobody.
[[nodiscard]] std::uint64_t instances_needed(std::uint64_t users, std::uint64_t per_instance);

// The share of an instance's price that `cpu_ns` of its time in a month take when only
// `cpu_budget_ppm` of it may be used: what one more picture costs in a fleet so large that whole
// instances do not matter. Add up the CPU time of a month first: a single picture rounds to 0.
[[nodiscard]] std::uint64_t server_time_micro_euro(const MonthlyPrices& prices,
                                                   std::uint64_t cpu_ns,
                                                   std::uint64_t cpu_budget_ppm);

// The same prices as a plan counts them: a server's hour is what server_time_micro_euro() has for
// 3600 s, so that a million pictures of a split cost what the functions here give for their server
// time, bytes and energy, but for a plan's rounding (planner/conditions.h).
[[nodiscard]] planner::Prices planner_prices(const MonthlyPrices& prices,
                                             std::uint64_t cpu_budget_ppm);

// `milliwatt_hours` of the device at the price of energy.
[[nodiscard]] std::uint64_t energy_micro_euro(const MonthlyPrices& prices,
                                              std::uint64_t milliwatt_hours);

// `bytes` over the device's link.
[[nodiscard]] std::uint64_t traffic_micro_euro(const MonthlyPrices& prices, std::uint64_t bytes);

// "61896.83": rounded half up to `decimals` (0 to 6) digits after the point.
[[nodiscard]] std::string euro_text(std::uint64_t micro_euro, int decimals = 2);

}  // namespace cleave::agent
