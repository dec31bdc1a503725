// SPDX-License-Identifier: Apache-2.0
//
// What was learned of a way that is not taken, and how it fades. A server that was slow for a
// second is not asked again, and a head that was slow is not run again, so nothing would ever show
// that they have become better: for each step without an observation, what is worse than the tables
// say goes half the way back to them. What is better than they say stays: such a way is taken, and
// shows by itself when it gets worse. So it is with the link (planner/link_estimator.h).
//
// Retrying has a price. When the first observation after a pause shows that nothing has become
// better, the next steps are twice as long, up to kMostPatience doublings; when it has, or when
// something new goes wrong, they are as long as they were.
//
// Everything depends on arguments alone. Not safe for use by several threads at once.
#pragma once

#include <cstdint>
#include <optional>

#include "planner/correction.h"
#include "planner/fixed_point.h"
#include "planner/median_window.h"

namespace cleave::agent {

// When something was last seen, and how long its steps are by now.
class Fading {
 public:
  static constexpr unsigned kMostPatience = 4;

  // `step_ns` is the length of the first steps; 0: nothing ever fades.
  explicit Fading(std::uint64_t step_ns) : step_ns_(step_ns) {}

  // Whole steps since it was last seen; 0 when it never was, or the clock stepped back.
  [[nodiscard]] std::uint64_t steps(std::uint64_t now_ns) const {
    if (!seen_ns_ || step_ns_ == 0) return 0;
    const std::uint64_t pause_ns = planner::saturating_sub(now_ns, *seen_ns_);
    return pause_ns / planner::saturating_mul(step_ns_, std::uint64_t{1} << patience_);
  }

  // It is seen now: `was` and `is` are how far beyond the tables it was believed to be before the
  // pause, and is.
  void see(std::uint64_t now_ns, std::uint64_t was, std::uint64_t is) {
    const bool after_a_pause = steps(now_ns) > 0;
    const bool got_better = is < was - was / 2;
    const bool got_worse_in_use = !after_a_pause && is > planner::saturating_add(was, was);
    if (got_better || got_worse_in_use) {
      patience_ = 0;
    } else if (after_a_pause && was > 0 && patience_ < kMostPatience) {
      ++patience_;
    }
    seen_ns_ = now_ns;
  }

  void reset() {
    seen_ns_.reset();
    patience_ = 0;
  }

 private:
  std::uint64_t step_ns_;
  std::optional<std::uint64_t> seen_ns_;
  unsigned patience_ = 0;
};

// `value` after `steps`: half of what it has beyond `least` remains after each.
[[nodiscard]] constexpr std::uint64_t faded(std::uint64_t value, std::uint64_t least,
                                            std::uint64_t steps) {
  if (value <= least) return value;
  return least + (steps < 64 ? (value - least) >> steps : 0);
}

// The median of the last few times of something that the tables know as `least`.
class FadingMedian {
 public:
  explicit FadingMedian(std::uint64_t step_ns) : fading_(step_ns) {}

  void observe(std::uint64_t now_ns, std::uint64_t value) {
    const std::uint64_t was = samples_.count() > 0 ? samples_.median(/*larger=*/false) : 0;
    // What was seen before a pause says little beside what is seen now.
    if (fading_.steps(now_ns) > 0) samples_.clear();
    samples_.push(value);
    fading_.see(now_ns, was, samples_.median(/*larger=*/false));
  }

  // Without a value before the first observation.
  [[nodiscard]] std::optional<std::uint64_t> median() const {
    if (samples_.count() == 0) return std::nullopt;
    return samples_.median(/*larger=*/false);
  }
  [[nodiscard]] std::uint64_t steps(std::uint64_t now_ns) const { return fading_.steps(now_ns); }

  void reset() {
    samples_.clear();
    fading_.reset();
  }

 private:
  planner::MedianWindow<planner::Correction::kWindow> samples_;
  Fading fading_;
};

// A table's factor.
class FadingCorrection {
 public:
  explicit FadingCorrection(std::uint64_t step_ns) : fading_(step_ns) {}

  // As planner::Correction::observe(): either 0 says nothing.
  void observe(std::uint64_t now_ns, std::uint64_t predicted_ns, std::uint64_t actual_ns) {
    if (predicted_ns == 0 || actual_ns == 0) return;
    const std::uint64_t was = excess();
    correction_ = at(now_ns);
    correction_.observe(predicted_ns, actual_ns);
    fading_.see(now_ns, was, excess());
  }

  [[nodiscard]] planner::Correction at(std::uint64_t now_ns) const {
    return correction_.faded(fading_.steps(now_ns));
  }

  void reset() {
    correction_.reset();
    fading_.reset();
  }

 private:
  [[nodiscard]] std::uint64_t excess() const {
    return planner::saturating_sub(correction_.factor(), planner::Correction::kUnit);
  }

  planner::Correction correction_;
  Fading fading_;
};

}  // namespace cleave::agent
