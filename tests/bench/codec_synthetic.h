// SPDX-License-Identifier: Apache-2.0
//
// Codec Coded on tensors that integers make: the same bytes on every machine, so that a change of a
// few percent shows.
#pragma once

#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::bench {

struct SyntheticLine {
  std::string form = {};
  double bits = 0;       // an element
  double error = 0;      // root of the mean square, of the values'
  double most_bits = 0;  // that were seen, and 2 %
  double most_error = 0;
  [[nodiscard]] bool is_within() const { return bits <= most_bits && error <= most_error; }
};

// Tensors with and without ReLU as they are, and turned in blocks of 1, 2 and 4 positions a side:
// tables from some, bits and error of others. Errors: kInternal (what was encoded does not decode).
[[nodiscard]] Result<std::vector<SyntheticLine>> bench_synthetic();

}  // namespace cleave::bench
