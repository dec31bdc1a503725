// SPDX-License-Identifier: Apache-2.0
#include "planner/link_estimator.h"

#include "planner/fixed_point.h"
#include "planner/score.h"

namespace cleave::planner {
namespace {

constexpr std::uint64_t smaller(std::uint64_t a, std::uint64_t b) { return a < b ? a : b; }

}  // namespace

LinkEstimator::LinkEstimator(const Link& initial) : initial_(initial), link_(initial) {}

void LinkEstimator::reset() {
  const bool available = link_.available;
  link_ = initial_;
  link_.available = available;
  rtt_samples_.clear();
  goodput_samples_.clear();
}

void LinkEstimator::observe(const Transfer& transfer) {
  if (transfer.elapsed_ns == 0) return;
  if (transfer.bytes_up <= kSmallBytes) {
    const Link without_rtt{.bandwidth_bps = link_.bandwidth_bps, .rtt_ns = 0, .available = true};
    const std::uint64_t bytes_ns = transmit_ns(transfer.bytes_up, without_rtt);
    observe_rtt(saturating_sub(transfer.elapsed_ns, bytes_ns));
  } else if (transfer.elapsed_ns > link_.rtt_ns) {
    observe_goodput(saturating_muldiv_down(transfer.bytes_up, 8 * kNsPerSecond,
                                           transfer.elapsed_ns - link_.rtt_ns));
  } else {
    observe_rtt(transfer.elapsed_ns);
  }
}

void LinkEstimator::observe_round_trip(std::uint64_t rtt_ns) {
  rtt_samples_.clear();
  observe_rtt(rtt_ns);
}

Link LinkEstimator::drifted(std::uint64_t steps) const {
  Link link = link_;
  for (; steps > 0; --steps) {
    const Link before = link;
    if (link.bandwidth_bps < initial_.bandwidth_bps) {
      link.bandwidth_bps =
          smaller(saturating_add(link.bandwidth_bps, link.bandwidth_bps), initial_.bandwidth_bps);
    }
    if (link.rtt_ns > initial_.rtt_ns) {
      link.rtt_ns = link.rtt_ns / 2 > initial_.rtt_ns ? link.rtt_ns / 2 : initial_.rtt_ns;
    }
    if (link.bandwidth_bps == before.bandwidth_bps && link.rtt_ns == before.rtt_ns) break;
  }
  return link;
}

void LinkEstimator::drift(std::uint64_t steps) {
  if (steps == 0) return;
  link_ = drifted(steps);
  rtt_samples_.clear();
  goodput_samples_.clear();
}

void LinkEstimator::observe_rtt(std::uint64_t rtt_ns) {
  rtt_samples_.push(rtt_ns);
  link_.rtt_ns = rtt_samples_.median(/*larger=*/false);
}

void LinkEstimator::observe_goodput(std::uint64_t bandwidth_bps) {
  // A transfer that did finish proves a link, however slow; 0 would mean none.
  goodput_samples_.push(bandwidth_bps == 0 ? 1 : bandwidth_bps);
  link_.bandwidth_bps = goodput_samples_.median(/*larger=*/true);
}

}  // namespace cleave::planner
