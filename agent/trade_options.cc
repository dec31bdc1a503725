// SPDX-License-Identifier: Apache-2.0
#include "agent/trade_options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

#include "agent/monthly_cost.h"
#include "agent/units.h"

namespace cleave::agent {
namespace {

using planner::Objective;

constexpr std::uint64_t kDefaultCpuBudgetPpm = 950'000;

constexpr std::pair<const char*, Objective> kObjectives[] = {
    {"memory", Objective::kEdgeMemory}, {"energy", Objective::kEnergy}, {"cost", Objective::kCost}};

// Reads what is there; what is not stays as it is.
template <typename Parse>
Status read_into(const std::string& text, const char* flag, Parse parse, std::uint64_t& value) {
  if (text.empty()) return Status::ok();
  const Result<std::uint64_t> parsed = parse(text);
  if (!parsed.is_ok()) return parsed.status().with_context(flag);
  value = *parsed;
  return Status::ok();
}

Result<std::uint64_t> parse_microjoules(const std::string& text) {
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t pj, parse_energy_pj(text));
  return pj / 1'000'000;  // a bound: rounded down, it is never loosened
}

// The server's price is given by the month, with a share of it that may be used, or by the hour.
Status read_prices(const TradeTexts& texts, Trade& trade) {
  if (!texts.price_instance.empty() && !texts.price_server.empty()) {
    return {StatusCode::kInvalidArgument,
            "--price-instance (a month) and --price-server (an hour) are two prices of the same "
            "server: give one of them"};
  }
  if (!texts.cpu_budget.empty() && texts.price_instance.empty()) {
    return {StatusCode::kInvalidArgument,
            "--cpu-budget is the share of --price-instance that may be used: give both"};
  }
  MonthlyPrices monthly;
  std::uint64_t budget_ppm = kDefaultCpuBudgetPpm;
  CLEAVE_RETURN_IF_ERROR(read_into(texts.price_instance, "--price-instance", parse_micro_euro,
                                   monthly.instance_micro_euro_per_month));
  CLEAVE_RETURN_IF_ERROR(read_into(texts.cpu_budget, "--cpu-budget", parse_share_ppm, budget_ppm));
  CLEAVE_RETURN_IF_ERROR(read_into(texts.price_egress, "--price-egress", parse_micro_euro,
                                   monthly.traffic_micro_euro_per_gb));
  CLEAVE_RETURN_IF_ERROR(read_into(texts.price_energy, "--price-energy", parse_micro_euro,
                                   monthly.energy_micro_euro_per_kwh));
  trade.prices = planner_prices(monthly, budget_ppm);
  trade.has_prices = !texts.price_instance.empty() || !texts.price_server.empty() ||
                     !texts.price_egress.empty() || !texts.price_energy.empty();
  return read_into(texts.price_server, "--price-server", parse_micro_euro,
                   trade.prices.server_ueur_per_hour);
}

Status read_rank(const TradeTexts& texts, Trade& trade) {
  const bool has_budget = !texts.budget.empty();
  if (has_budget && !texts.rank.empty() && texts.rank != "budget") {
    return {StatusCode::kInvalidArgument,
            "--latency-budget has no meaning with --rank " + texts.rank};
  }
  if (texts.rank == "budget" && !has_budget) {
    return {StatusCode::kInvalidArgument, "--rank budget needs --latency-budget"};
  }
  planner::Request& request = trade.request;
  // Not refused by a range of numbers: one that is none.
  if (!(texts.latency_factor >= 1.0)) {
    return {StatusCode::kInvalidArgument, "--latency-factor is no number"};
  }
  request.factor = {static_cast<std::uint32_t>(texts.latency_factor * 1000.0 + 0.5), 1000};
  if (has_budget) request.rank = planner::Rank::kWithinBudget;
  if (texts.rank == "literal") request.rank = planner::Rank::kLiteral;
  if (texts.rank == "knee") trade.pick = FrontPick::kKnee;
  if (texts.rank == "least") trade.pick = FrontPick::kBest;
  return read_into(texts.budget, "--latency-budget", parse_duration_ns, request.budget);
}

Status read_objective(const TradeTexts& texts, Trade& trade) {
  planner::ObjectivePair& pair = trade.request.objectives;
  for (const auto& [name, objective] : kObjectives) {
    if (texts.objective == name) pair.optimized = objective;
  }
  const bool needs_energy = pair.optimized == Objective::kEnergy || !texts.energy_budget.empty();
  if (needs_energy && !trade.has_energy) {
    return {StatusCode::kInvalidArgument,
            "energy is modelled from --power-active, --power-idle and --radio-energy: give them"};
  }
  const bool needs_prices = pair.optimized == Objective::kCost || !texts.cost_bound.empty();
  if (needs_prices && !trade.has_prices) {
    return {StatusCode::kInvalidArgument,
            "a cost is computed from --price-instance or --price-server, --price-egress and "
            "--price-energy: give one of them"};
  }
  if (!texts.price_energy.empty() && !trade.has_energy) {
    return {StatusCode::kInvalidArgument,
            "--price-energy pays for energy that is modelled from --power-active, --power-idle and "
            "--radio-energy: give them"};
  }
  return Status::ok();
}

}  // namespace

void add_trade_options(CLI::App& command, TradeTexts& texts) {
  command
      .add_option("--objective", texts.objective,
                  "What lmos trades latency for. memory: a deeper head; energy: of this device, as "
                  "modelled; cost: of server, traffic and this device's energy, at your prices")
      ->check(CLI::IsMember({"memory", "energy", "cost"}))
      ->capture_default_str();
  command
      .add_option(
          "--rank", texts.rank,
          "How lmos picks from the front. factor: best in --objective within the best "
          "latency times --latency-factor; budget: within --latency-budget; literal: as "
          "published; knee: where more latency stops paying; least: the best in --objective "
          "whatever the latency (default: budget with --latency-budget, else factor)")
      ->check(CLI::IsMember({"factor", "budget", "literal", "knee", "least"}));
  command.add_option("--latency-factor", texts.latency_factor, "For --rank factor")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
  const auto option = [&](const char* flag, std::string& text, const char* help, const char* type) {
    command.add_option(flag, text, help)->type_name(type);
  };
  option("--latency-budget", texts.budget, "For --rank budget, as in 200ms", "TIME");
  option("--deadline", texts.deadline, "Splits that take longer are not chosen, as in 200ms",
         "TIME");
  option("--energy-budget", texts.energy_budget,
         "Splits that take more of this device's energy a picture are not chosen, as in 250mJ",
         "ENERGY");
  option("--cost-bound", texts.cost_bound,
         "Splits that cost more for a million pictures are not chosen, as in 12.50", "EUR");
  option("--price-instance", texts.price_instance,
         "Of one server instance, which works on one request at a time, for a month of 730 h, as "
         "in 7.527",
         "EUR");
  option(
      "--disagreement", texts.disagreement,
      "Choose among all precisions in the file of which `profile IMAGE...` has seen that their "
      "best class is another than the first one's on no more of the pictures, as in 2%. What "
      "counts is (others + 1) / (pictures + 1): 2% needs 49 pictures. With --codec auto also "
      "among codecs, of which coded counts as it was calibrated where no profile says otherwise; "
      "with --variant as well, only among codecs",
      "SHARE");
  option("--cpu-budget", texts.cpu_budget,
         "Share of an instance that may be busy, for --price-instance (default: 95%)", "PERCENT");
  option("--price-server", texts.price_server,
         "Instead of --price-instance: of an hour of the share of a server that one request "
         "occupies, as in 0.0104",
         "EUR");
  option("--price-egress", texts.price_egress, "Of 1e9 bytes sent by the device, as in 0.09",
         "EUR");
  option("--price-energy", texts.price_energy,
         "Of a kWh that this device takes, as in 0.20; needs --power-active, --power-idle and "
         "--radio-energy",
         "EUR");
}

Result<Trade> read_trade(const TradeTexts& texts, const std::optional<EnergyConstants>& energy) {
  Trade trade;
  std::uint64_t disagreement_ppm = 0;
  CLEAVE_RETURN_IF_ERROR(
      read_into(texts.disagreement, "--disagreement", parse_bound_ppm, disagreement_ppm));
  trade.bounds.disagreement_ppm = static_cast<std::uint32_t>(disagreement_ppm);
  CLEAVE_RETURN_IF_ERROR(
      read_into(texts.deadline, "--deadline", parse_duration_ns, trade.bounds.deadline_ns));
  CLEAVE_RETURN_IF_ERROR(read_into(texts.energy_budget, "--energy-budget", parse_microjoules,
                                   trade.bounds.energy_budget_uj));
  CLEAVE_RETURN_IF_ERROR(
      read_into(texts.cost_bound, "--cost-bound", parse_micro_euro, trade.bounds.cost_bound_ueur));
  CLEAVE_RETURN_IF_ERROR(read_prices(texts, trade));
  trade.has_energy = energy.has_value();
  if (energy) {
    trade.energy = {.compute_uw = energy->active_uw,
                    .radio_pj_per_byte = energy->radio_pj_per_byte,
                    .idle_uw = energy->idle_uw};
  }
  CLEAVE_RETURN_IF_ERROR(read_objective(texts, trade));
  CLEAVE_RETURN_IF_ERROR(read_rank(texts, trade));
  return trade;
}

std::string energy_amount_text(std::uint64_t uj) {
  if (uj == UINT64_MAX) return "-";
  char text[32];
  const auto value = static_cast<double>(uj);
  if (uj < 1'000'000) {
    std::snprintf(text, sizeof(text), "%.1f mJ", value / 1e3);
  } else {
    std::snprintf(text, sizeof(text), "%.2f J", value / 1e6);
  }
  return text;
}

}  // namespace cleave::agent
