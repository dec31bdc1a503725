// SPDX-License-Identifier: Apache-2.0
//
// What the user would rather spend. Weights, executors of them, plans and profiles of one run share
// one value: what is planned for one preference does not hold for the other.
#pragma once

#include <cstdint>
#include <string_view>

#include "schemas/status.h"

namespace cleave {

enum class Preference : std::uint8_t {
  kSpeed,   // the fastest form of every op, whatever its weights take
  kMemory,  // a fast form only where it takes no more memory than it saves
};

// "speed", "memory": as flags, configuration files and JSON say it.
[[nodiscard]] const char* preference_name(Preference preference);
// Errors: kInvalidArgument.
[[nodiscard]] Result<Preference> parse_preference(std::string_view text);

}  // namespace cleave
