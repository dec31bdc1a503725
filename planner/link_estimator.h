// SPDX-License-Identifier: Apache-2.0
//
// Goodput and round-trip time from the requests that were really made and the Pings of each
// handshake; no other probe traffic.
//
// The model is that of transmit_ns(): elapsed = rtt + bytes * 8e9 / goodput. A transfer of at most
// one TCP segment tells the RTT, a larger one the goodput:
//   - bytes_up <= kSmallBytes: rtt sample = elapsed - time of those bytes at the present goodput;
//   - else, elapsed > rtt:     goodput sample = bytes * 8e9 / (elapsed - rtt);
//   - else: the whole transfer took no longer than the believed RTT, so it bounds the RTT from
//     above and says nothing about the goodput: rtt sample = elapsed.
// Each estimate is the median of its last kWindow samples. With 5, one or two stalls in a row move
// nothing, and a lasting change is believed at its third sample. While the count is even the
// middle sample of the faster link is taken, since stalls err only towards slower.
//
// A link that is believed slow is not used, so nothing would ever show that it has become better:
// the longer there is no transfer, the nearer its estimate is taken to the initial one (drifted()).
#pragma once

#include <cstddef>
#include <cstdint>

#include "planner/median_window.h"
#include "planner/planner.h"

namespace cleave::planner {

// What one request moved and how long the link took for it.
struct Transfer {
  std::uint64_t bytes_up = 0;    // whole frames sent
  std::uint64_t elapsed_ns = 0;  // first byte written to answer read, less the server's residence;
                                 // by the device's monotonic clock
};

// Not safe for use by several threads at once. No allocation, under 200 bytes.
class LinkEstimator {
 public:
  static constexpr std::size_t kWindow = 5;
  static constexpr std::uint64_t kSmallBytes = 1460;  // payload of one Ethernet TCP segment

  // Until transfers say otherwise, link() is `initial`. Its bandwidth must not be 0, or the planner
  // never tries the link and nothing is ever measured; the default is the paper's 10 Mbit/s.
  explicit LinkEstimator(const Link& initial = {
                             .bandwidth_bps = 10'000'000, .rtt_ns = 0, .available = false});

  // Takes in one finished transfer. One with elapsed_ns 0 carries no information and is ignored.
  void observe(const Transfer& transfer);

  // Takes in a round trip measured for itself, by the Pings of a handshake: it replaces every
  // earlier sample of the RTT.
  void observe_round_trip(std::uint64_t rtt_ns);

  // link() after `steps` periods without a transfer: the bandwidth doubles in each, up to the
  // initial one, and the RTT halves, down to the initial one. What is better than the initial
  // belief stays: such a link is used, and shows by itself when it gets worse.
  [[nodiscard]] Link drifted(std::uint64_t steps) const;

  // Makes drifted(steps) the estimate and forgets the samples before; to be called before the first
  // observe() after a pause of that many periods. 0 changes nothing.
  void drift(std::uint64_t steps);

  // The connection came up or went away. The measurements are kept: most outages end on the same
  // network.
  void set_available(bool available) { link_.available = available; }

  // Forgets every sample and returns to `initial`, keeping `available`: for a change of network.
  void reset();

  // The present estimate.
  [[nodiscard]] const Link& link() const { return link_; }

 private:
  void observe_rtt(std::uint64_t rtt_ns);
  void observe_goodput(std::uint64_t bandwidth_bps);

  Link initial_;
  Link link_;
  MedianWindow<kWindow> rtt_samples_;
  MedianWindow<kWindow> goodput_samples_;
};

}  // namespace cleave::planner
