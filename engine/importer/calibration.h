// SPDX-License-Identifier: Apache-2.0
//
// What the values of a network take on: found by calibrate(), used by equalize() and quantize().
#pragma once

#include <vector>

namespace cleave::importer {

// minimum <= maximum.
struct ValueRange {
  float minimum = 0;
  float maximum = 0;
};

// One channel of a value, over all pixels of all pictures.
struct ChannelRange {
  ValueRange range;  // with zero in it
  float mean = 0;
  float deviation = 0;          // the root of the mean square of what is left without the mean
  float occupied = 1;           // the share of values that are not zero, which alone are rounded
  ValueRange foretold = range;  // what pictures to come may take on
};

// One entry per value of a lowered graph.
struct Calibration {
  std::vector<ValueRange> ranges;                   // what int8 has to hold
  std::vector<std::vector<ChannelRange>> channels;  // one for each channel; empty: not known
};

}  // namespace cleave::importer
