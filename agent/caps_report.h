// SPDX-License-Identifier: Apache-2.0
//
// What the device has to give, in words and as JSON, each with where it is known from.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "agent/device_caps.h"
#include "agent/energy_constants.h"

namespace cleave::agent {

// A cap as every command's JSON has it: its source, and its bytes or null when it is not known.
nlohmann::ordered_json cap_json(const Cap& cap);
// "cores", "clock", "thermal_zones", "throttle".
nlohmann::ordered_json processor_json(const ProcessorState& processor);
// The constants, "modelled": true; null without.
nlohmann::ordered_json energy_json(const std::optional<EnergyConstants>& energy);

std::string mebibytes_text(std::uint64_t bytes);
std::string cap_text(const Cap& cap);
// The cap on memory and the other bounds that were found, which are larger.
std::string ram_text(const DeviceCaps& caps);
std::string cores_text(const ProcessorState& processor);
// The clock at which a computation runs, and what else cpufreq says.
std::string clock_state_text(const ProcessorState& processor);
std::string zones_text(const ProcessorState& processor);
std::string throttle_state_text(const ProcessorState& processor);

}  // namespace cleave::agent
