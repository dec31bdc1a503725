// SPDX-License-Identifier: Apache-2.0
//
// From values to pixels along one axis of a chart, and where its ticks are.
#pragma once

#include <string>
#include <vector>

#include "agent/svg_chart.h"

namespace cleave::agent {

// Least and largest of the values that an axis is to show.
class ValueRange {
 public:
  explicit ValueRange(AxisScale scale) : scale_(scale) {}

  // Whether an axis of this scale can show `value`.
  [[nodiscard]] bool shows(double value) const;
  void include(double value);  // what it cannot show changes nothing

  [[nodiscard]] AxisScale scale() const { return scale_; }
  [[nodiscard]] double low() const { return empty_ ? 1 : low_; }
  [[nodiscard]] double high() const { return empty_ ? 1 : high_; }

 private:
  AxisScale scale_;
  bool empty_ = true;
  double low_ = 0;
  double high_ = 0;
};

class PixelAxis {
 public:
  // `range` lies between pixels `first` and `last`; either may be the larger.
  // `widen`: the ends move out to the next tick, and a linear axis starts at 0.
  PixelAxis(const ValueRange& range, double first, double last, bool widen);

  // REQUIRES: value is one that the range shows.
  [[nodiscard]] double pixel(double value) const;
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }

 private:
  [[nodiscard]] double position(double value) const;  // linear in pixels
  void place_linear_ticks(bool widen);
  void place_logarithmic_ticks(bool widen);

  AxisScale scale_;
  double low_, high_, first_, last_;
  std::vector<double> ticks_;
};

// Up to `digits` after the point, without trailing zeros.
[[nodiscard]] std::string number_text(double value, int digits);

}  // namespace cleave::agent
