// SPDX-License-Identifier: Apache-2.0
#include "engine/preference.h"

#include <string>

namespace cleave {

const char* preference_name(Preference preference) {
  return preference == Preference::kMemory ? "memory" : "speed";
}

Result<Preference> parse_preference(std::string_view text) {
  for (const Preference preference : {Preference::kSpeed, Preference::kMemory}) {
    if (text == preference_name(preference)) return preference;
  }
  return Status(StatusCode::kInvalidArgument,
                "'" + std::string(text) + "' is no preference; it is speed or memory");
}

}  // namespace cleave
