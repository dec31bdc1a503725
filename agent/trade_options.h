// SPDX-License-Identifier: Apache-2.0
//
// What a plan is to be good at besides being fast, and what that is worth: --objective, --rank,
// --deadline, --energy-budget, --cost-bound, --price-instance, --cpu-budget, --price-server,
// --price-egress, --price-energy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/energy_constants.h"
#include "agent/split_planner.h"
#include "planner/planner.h"
#include "schemas/status.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cleave::agent {

// As written on the command line.
struct TradeTexts {
  std::string objective = "memory";
  std::string rank;    // empty: budget when there is one, else factor
  std::string budget;  // --latency-budget
  double latency_factor = 1.1;
  std::string deadline, energy_budget, cost_bound;                       // empty: none
  std::string price_instance, price_server, price_egress, price_energy;  // empty: 0
  std::string disagreement;  // empty: the file's first variant alone
  std::string cpu_budget;    // of --price-instance; empty: 95%
};

void add_trade_options(CLI::App& command, TradeTexts& texts);

struct Trade {
  planner::Request request;  // objectives, rank, factor and budget; the rest is the caller's
  FrontPick pick = FrontPick::kByRank;
  planner::Caps bounds;  // deadline, energy budget and cost bound; the rest as it is by default
  planner::EnergyModel energy;
  planner::Prices prices;
  bool has_energy = false;  // the user gave the board's constants: energies are modelled
  bool has_prices = false;  // the user gave one of the prices: costs are more than 0
};

// Errors: kInvalidArgument, with the option: what cannot be read; an energy asked for without the
// board's constants or a cost without a price; a price of energy without those constants; a
// server's price both by the month and by the hour; a budget with a rank that has none.
[[nodiscard]] Result<Trade> read_trade(const TradeTexts& texts,
                                       const std::optional<EnergyConstants>& energy);

// "12.3 mJ", "4.56 J"; of a saturated one "-".
[[nodiscard]] std::string energy_amount_text(std::uint64_t uj);

}  // namespace cleave::agent
