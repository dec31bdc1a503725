// SPDX-License-Identifier: Apache-2.0
#include "agent/trade_options.h"

#include <doctest/doctest.h>

#include <string>

namespace cleave::agent {
namespace {

constexpr EnergyConstants kBoard{
    .active_uw = 5'000'000, .idle_uw = 2'000'000, .radio_pj_per_byte = 120'001};

std::string error_of(const TradeTexts& texts, const std::optional<EnergyConstants>& energy = {}) {
  const auto trade = read_trade(texts, energy);
  return trade.is_ok() ? "" : trade.status().message();
}

}  // namespace

TEST_CASE("without options: the deepest within a tenth of the fastest, nothing bounded or priced") {
  const auto trade = read_trade({}, std::nullopt);
  REQUIRE(trade.is_ok());
  CHECK(trade->request.objectives.optimized == planner::Objective::kEdgeMemory);
  CHECK(trade->request.objectives.constrained == planner::Objective::kLatency);
  CHECK(trade->request.rank == planner::Rank::kWithinFactor);
  CHECK(trade->request.factor.numerator == 1100);
  CHECK(trade->request.factor.denominator == 1000);
  CHECK(trade->pick == FrontPick::kByRank);
  CHECK(trade->bounds.deadline_ns == UINT64_MAX);
  CHECK(trade->bounds.energy_budget_uj == UINT64_MAX);
  CHECK(trade->bounds.cost_bound_ueur == UINT64_MAX);
  CHECK_FALSE(trade->has_energy);
  CHECK_FALSE(trade->has_prices);
}

TEST_CASE("money and energy in the planner's units; a bound is never loosened") {
  TradeTexts texts;
  texts.objective = "energy";
  texts.energy_budget = "250.0009mJ";
  texts.cost_bound = "12.5";
  texts.price_server = "0.0104";
  texts.price_egress = "0.09";
  texts.deadline = "200ms";
  const auto trade = read_trade(texts, kBoard);
  REQUIRE_MESSAGE(trade.is_ok(), trade.status().message());
  CHECK(trade->request.objectives.optimized == planner::Objective::kEnergy);
  CHECK(trade->bounds.energy_budget_uj == 250'000);
  CHECK(trade->bounds.cost_bound_ueur == 12'500'000);
  CHECK(trade->bounds.deadline_ns == 200'000'000);
  CHECK(trade->prices.server_ueur_per_hour == 10'400);
  CHECK(trade->prices.egress_ueur_per_gb == 90'000);
  CHECK(trade->energy.compute_uw == 5'000'000);
  CHECK(trade->energy.idle_uw == 2'000'000);
  CHECK(trade->energy.radio_pj_per_byte == 120'001);
}

TEST_CASE("ranks") {
  TradeTexts texts;
  texts.budget = "30ms";
  CHECK(read_trade(texts, {})->request.rank == planner::Rank::kWithinBudget);
  CHECK(read_trade(texts, {})->request.budget == 30'000'000);
  texts.rank = "budget";
  CHECK(read_trade(texts, {}).is_ok());
  for (const char* rank : {"factor", "literal", "knee", "least"}) {
    texts.rank = rank;
    CHECK(error_of(texts).find("--latency-budget has no meaning with --rank") == 0);
  }
  texts.budget = "";
  texts.rank = "knee";
  CHECK(read_trade(texts, {})->pick == FrontPick::kKnee);
  texts.rank = "least";
  CHECK(read_trade(texts, {})->pick == FrontPick::kBest);
  texts.rank = "literal";
  CHECK(read_trade(texts, {})->request.rank == planner::Rank::kLiteral);
  texts.rank = "budget";
  CHECK(error_of(texts) == "--rank budget needs --latency-budget");
}

TEST_CASE("what has no value to be judged by is refused") {
  TradeTexts texts;
  texts.objective = "energy";
  CHECK(error_of(texts).find("--power-active") != std::string::npos);
  CHECK(error_of(texts, kBoard).empty());
  texts.objective = "cost";
  CHECK(error_of(texts).find("--price-server") != std::string::npos);
  texts.price_egress = "1";
  CHECK(error_of(texts).empty());
  texts = {};
  texts.energy_budget = "1J";
  CHECK(error_of(texts).find("--power-active") != std::string::npos);
  texts = {};
  texts.cost_bound = "1";
  CHECK(error_of(texts).find("--price-server") != std::string::npos);
  texts.cost_bound = "cheap";
  CHECK(error_of(texts).find("--cost-bound: 'cheap'") == 0);
}

TEST_CASE("an instance's month becomes the hour that may be used of it") {
  TradeTexts texts;
  texts.price_instance = "7.3";
  texts.cpu_budget = "100%";
  CHECK(read_trade(texts, {})->prices.server_ueur_per_hour == 10'000);  // of 730 hours
  texts.cpu_budget = "50%";
  CHECK(read_trade(texts, {})->prices.server_ueur_per_hour == 20'000);
  texts.price_instance = "7.527EUR";
  texts.cpu_budget = "";  // 95 %: 7.527 / 693.5 h
  const auto trade = read_trade(texts, {});
  REQUIRE_MESSAGE(trade.is_ok(), trade.status().message());
  CHECK(trade->prices.server_ueur_per_hour == 10'854);
  CHECK(trade->prices.egress_ueur_per_gb == 0);
  CHECK(trade->prices.energy_ueur_per_kwh == 0);
  CHECK(trade->has_prices);
}

TEST_CASE("prices that contradict each other, or that have nothing to pay for, are refused") {
  TradeTexts texts;
  texts.price_instance = "7.527";
  texts.price_server = "0.0104";
  CHECK(error_of(texts).find("--price-instance (a month) and --price-server (an hour)") == 0);
  texts.price_instance = "";
  texts.cpu_budget = "95%";
  CHECK(error_of(texts).find("--cpu-budget is the share of --price-instance") == 0);
  texts = {};
  texts.price_instance = "7.527";
  texts.cpu_budget = "95";
  CHECK(error_of(texts).find("--cpu-budget: '95'") == 0);
  texts = {};
  texts.price_energy = "0.20";
  CHECK(error_of(texts).find("--price-energy pays for energy") == 0);
  CHECK(error_of(texts).find("--power-active") != std::string::npos);
  texts.objective = "cost";
  const auto trade = read_trade(texts, kBoard);
  REQUIRE_MESSAGE(trade.is_ok(), trade.status().message());
  CHECK(trade->prices.energy_ueur_per_kwh == 200'000);
  CHECK(trade->has_prices);
  texts.price_energy = "0.20/kWh";
  CHECK(error_of(texts, kBoard).find("--price-energy: '0.20/kWh'") == 0);
}

TEST_CASE("energies as people read them") {
  CHECK(energy_amount_text(0) == "0.0 mJ");
  CHECK(energy_amount_text(361'049) == "361.0 mJ");
  CHECK(energy_amount_text(2'677'400) == "2.68 J");
  CHECK(energy_amount_text(UINT64_MAX) == "-");
}

}  // namespace cleave::agent
