// SPDX-License-Identifier: Apache-2.0
#include "planner/correction.h"

namespace cleave::planner {

void Correction::observe(std::uint64_t predicted_ns, std::uint64_t actual_ns) {
  if (predicted_ns == 0 || actual_ns == 0) return;
  std::uint64_t factor = saturating_muldiv_up(actual_ns, kUnit, predicted_ns);
  if (factor < kLeast) factor = kLeast;
  if (factor > kMost) factor = kMost;
  samples_.push(factor);
  // Of two the smaller: what goes wrong in a request makes it longer, never shorter.
  factor_ = samples_.median(/*larger=*/false);
}

void Correction::reset() {
  samples_.clear();
  factor_ = kUnit;
}

}  // namespace cleave::planner
