// SPDX-License-Identifier: Apache-2.0
//
// A floor under the speed of the codecs that holds on a machine under load: it is one of cycles of
// a core an element, and the core's cycles are counted in the same run.
#pragma once

#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::bench {

struct SpeedLine {
  std::string form = {};
  double encode_per_s = 0;  // elements a second of one core
  double decode_per_s = 0;
  double encode_cycles = 0;  // an element
  double decode_cycles = 0;
  double most_cycles = 0;
  [[nodiscard]] bool is_within() const {
    return encode_cycles <= most_cycles && decode_cycles <= most_cycles;
  }
};

// int8 of tensors of 128 values and of 56x56x24, coded of 28x28x24 as they are and turned in blocks
// of 1, 2 and 4 positions a side: the best of several runs, by the thread's own time. Errors:
// kInternal (what was encoded does not decode).
[[nodiscard]] Result<std::vector<SpeedLine>> bench_speed();

}  // namespace cleave::bench
