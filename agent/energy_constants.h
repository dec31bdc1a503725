// SPDX-License-Identifier: Apache-2.0
//
// What the user says of a board's power: nothing here is measured, so whatever is computed from it
// is called modelled wherever it is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/status.h"

namespace cleave::agent {

// Energy of a picture = active x time computing + idle x time waiting + radio x bytes sent.
struct EnergyConstants {
  std::uint64_t active_uw = 0;          // the whole board while it computes, microwatts
  std::uint64_t idle_uw = 0;            // the whole board while it waits for the server
  std::uint64_t radio_pj_per_byte = 0;  // besides, for each byte that is sent
  friend bool operator==(const EnergyConstants&, const EnergyConstants&) = default;
};

// As written on the command line: --power-active, --power-idle, --radio-energy.
struct EnergyTexts {
  std::string active = {}, idle = {}, radio = {};
};

// None when none is given. Errors: kInvalidArgument: one that cannot be read or is out of reason
// (over 1 kW, over 1 J a byte), only some of the three, or a board that takes more idle than
// active.
[[nodiscard]] Result<std::optional<EnergyConstants>> read_energy(const EnergyTexts& texts);

// "modelled: 3.5 W active, 1.9 W idle, 120 nJ a byte sent", or "not modelled: ..." and the way to.
[[nodiscard]] std::string energy_text(const std::optional<EnergyConstants>& energy);

}  // namespace cleave::agent
