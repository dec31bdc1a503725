// SPDX-License-Identifier: Apache-2.0
#include "agent/energy_constants.h"

#include <cstdio>

#include "agent/units.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kMaxPowerUw = 1'000'000'000;
constexpr std::uint64_t kMaxRadioPj = 1'000'000'000'000;

Result<std::uint64_t> at_most(Result<std::uint64_t> value, std::uint64_t limit, const char* flag,
                              const char* limit_text) {
  if (!value.is_ok()) return value.status().with_context(flag);
  if (*value <= limit) return value;
  return Status(StatusCode::kInvalidArgument, std::string(flag) + ": at most " + limit_text);
}

}  // namespace

Result<std::optional<EnergyConstants>> read_energy(const EnergyTexts& texts) {
  if (texts.active.empty() && texts.idle.empty() && texts.radio.empty()) {
    return std::optional<EnergyConstants>{};
  }
  if (texts.active.empty() || texts.idle.empty() || texts.radio.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "energy is modelled from --power-active, --power-idle and --radio-energy: give "
                  "all three (0W and 0nJ are values)");
  }
  EnergyConstants energy;
  CLEAVE_ASSIGN_OR_RETURN(energy.active_uw, at_most(parse_power_uw(texts.active), kMaxPowerUw,
                                                    "--power-active", "1000W"));
  CLEAVE_ASSIGN_OR_RETURN(
      energy.idle_uw, at_most(parse_power_uw(texts.idle), kMaxPowerUw, "--power-idle", "1000W"));
  CLEAVE_ASSIGN_OR_RETURN(
      energy.radio_pj_per_byte,
      at_most(parse_energy_pj(texts.radio), kMaxRadioPj, "--radio-energy", "1J a byte"));
  if (energy.idle_uw > energy.active_uw) {
    return Status(StatusCode::kInvalidArgument,
                  "--power-idle is more than --power-active: both are of the whole board");
  }
  return std::optional(energy);
}

std::string energy_text(const std::optional<EnergyConstants>& energy) {
  if (!energy) {
    return "not modelled: give --power-active, --power-idle and --radio-energy of this board";
  }
  char text[160];
  std::snprintf(text, sizeof(text), "modelled: %.6g W active, %.6g W idle, %.6g nJ a byte sent",
                static_cast<double>(energy->active_uw) / 1e6,
                static_cast<double>(energy->idle_uw) / 1e6,
                static_cast<double>(energy->radio_pj_per_byte) / 1e3);
  return text;
}

}  // namespace cleave::agent
