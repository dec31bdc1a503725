// SPDX-License-Identifier: Apache-2.0
#include "agent/svg_axis.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cleave::agent {
namespace {

constexpr int kMostIntervals = 6;
constexpr std::size_t kMostLogarithmicTicks = 9;
constexpr int kLogarithmBits = 30;
// Beyond these the arithmetic of ticks would overflow or vanish; no chart is about such values.
constexpr double kLargest = 1e30, kLeast = 1e-30;

// The logarithm bit by bit, by squaring: multiplications are the same everywhere, std::log2 is not.
double portable_log2(double value) {
  int exponent = 0;
  double mantissa = std::frexp(value, &exponent) * 2;  // in [1, 2)
  double result = exponent - 1;
  double weight = 0.5;
  for (int bit = 0; bit < kLogarithmBits; ++bit, weight /= 2) {
    mantissa *= mantissa;
    if (mantissa < 2) continue;
    mantissa /= 2;
    result += weight;
  }
  return result;
}

// The largest power of ten that is not above `value`.
double power_of_ten_below(double value) {
  double power = 1;
  while (power > value) power /= 10;
  while (power * 10 <= value) power *= 10;
  return power;
}

// 1, 2 or 5 times a power of ten, at least `least`.
double round_step(double least) {
  const double power = power_of_ten_below(least);
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return power * 10;
}

}  // namespace

bool ValueRange::shows(double value) const {
  if (!std::isfinite(value) || std::abs(value) > kLargest) return false;
  return scale_ == AxisScale::kLinear || value >= kLeast;
}

void ValueRange::include(double value) {
  if (!shows(value)) return;
  low_ = empty_ ? value : std::min(low_, value);
  high_ = empty_ ? value : std::max(high_, value);
  empty_ = false;
}

PixelAxis::PixelAxis(const ValueRange& range, double first, double last, bool widen)
    : scale_(range.scale()), low_(range.low()), high_(range.high()), first_(first), last_(last) {
  if (scale_ == AxisScale::kLinear) {
    if (widen) low_ = std::min(low_, 0.0);
    // A span too small for doubles to step through counts as none.
    const double least_span = std::max(std::max(std::abs(low_), std::abs(high_)) * 1e-9, kLeast);
    if (high_ - low_ <= least_span) high_ = low_ + std::max(1.0, std::abs(low_));
    place_linear_ticks(widen);
  } else {
    if (high_ < low_ * (1 + 1e-9)) {
      low_ /= 2;
      high_ *= 2;
    }
    place_logarithmic_ticks(widen);
  }
}

void PixelAxis::place_linear_ticks(bool widen) {
  const double step = round_step((high_ - low_) / kMostIntervals);
  // A hair of room, so that an end that is a tick is found to be one.
  const double begin = std::ceil(low_ / step - 1e-6);
  const double end = std::floor(high_ / step + 1e-6);
  if (widen) {
    low_ = std::min(low_, std::floor(low_ / step + 1e-6) * step);
    high_ = std::max(high_, std::ceil(high_ / step - 1e-6) * step);
  }
  const double last = widen ? std::round(high_ / step) : end;
  for (double n = widen ? std::round(low_ / step) : begin; n <= last; n += 1) {
    ticks_.push_back(n * step);
  }
}

void PixelAxis::place_logarithmic_ticks(bool widen) {
  std::vector<double> fine, coarse;
  const double room = 1e-9;
  for (double power = power_of_ten_below(low_); power <= high_ * 10; power *= 10) {
    coarse.push_back(power);
    for (const double factor : {1.0, 2.0, 5.0}) fine.push_back(factor * power);
  }
  if (widen) {
    const auto above = [&](double tick) { return tick > low_ * (1 + room); };
    const auto begin = std::ranges::find_if(fine, above);
    if (begin != fine.begin()) low_ = std::min(low_, *(begin - 1));
    const auto end =
        std::ranges::find_if(fine, [&](double tick) { return tick >= high_ * (1 - room); });
    if (end != fine.end()) high_ = std::max(high_, *end);
  }
  const auto outside = [&](double tick) {
    return tick < low_ * (1 - room) || tick > high_ * (1 + room);
  };
  std::erase_if(fine, outside);
  std::erase_if(coarse, outside);
  ticks_ = fine.size() <= kMostLogarithmicTicks ? fine : coarse;
}

double PixelAxis::position(double value) const {
  return scale_ == AxisScale::kLinear ? value : portable_log2(value);
}

double PixelAxis::pixel(double value) const {
  const double part = (position(value) - position(low_)) / (position(high_) - position(low_));
  return first_ + part * (last_ - first_);
}

std::string number_text(double value, int digits) {
  char buffer[400];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed, digits).ptr;
  std::string text(buffer, end);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

}  // namespace cleave::agent
