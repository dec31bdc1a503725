// SPDX-License-Identifier: Apache-2.0
//
// The arena of a head over time, as `cleave-import inspect --memory` shows it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/importer/inspect.h"

namespace cleave::importer {

// Of each variant: a line an op, at most 100 columns, with what lives while it runs and a bar that
// spans the arena. REQUIRES: the report was made with InspectOptions::memory_of.
[[nodiscard]] std::string memory_text(const ModelReport& report);
// Range, bytes and every placement of VariantReport::arena. REQUIRES: it is there.
[[nodiscard]] nlohmann::ordered_json memory_json(const VariantReport& variant);

}  // namespace cleave::importer
