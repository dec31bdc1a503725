// SPDX-License-Identifier: Apache-2.0
#include "agent/prediction_error.h"

#include <algorithm>

#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;

std::uint64_t median_of(const planner::MedianWindow<PredictionErrors::kWindow>& window) {
  return window.count() == 0 ? 0 : window.median(/*larger=*/true);
}

}  // namespace

PartTimes actual_times(const Record& record) {
  return {.edge_ns = record.edge_ns + record.encode_ns,
          .link_ns = record.tx_ns + record.rx_ns,
          .server_ns = record.server_ns};
}

std::uint64_t error_ppm(std::uint64_t predicted_ns, std::uint64_t actual_ns) {
  if (actual_ns == 0) return predicted_ns == 0 ? 0 : kMillion;
  const std::uint64_t off_ns =
      std::max(predicted_ns, actual_ns) - std::min(predicted_ns, actual_ns);
  return planner::saturating_muldiv_down(off_ns, kMillion, actual_ns);
}

void PredictionErrors::observe(const Record& record) {
  const PartTimes& predicted = record.predicted;
  const bool as_planned = record.status.is_ok() && record.fallback.empty();
  if (!as_planned || predicted.total_ns() == 0) return;
  const PartTimes actual = actual_times(record);
  ++pictures_;
  edge_.push(error_ppm(predicted.edge_ns, actual.edge_ns));
  // Plans are of a picture by itself.
  total_.push(
      error_ppm(predicted.total_ns(), planner::saturating_sub(record.total_ns, record.waited_ns)));
  if (predicted.link_ns == 0 && actual.link_ns == 0) return;
  link_.push(error_ppm(predicted.link_ns, actual.link_ns));
  server_.push(error_ppm(predicted.server_ns, actual.server_ns));
}

std::optional<PartErrors> PredictionErrors::median() const {
  if (pictures_ == 0) return std::nullopt;
  return PartErrors{.edge_ppm = median_of(edge_),
                    .link_ppm = median_of(link_),
                    .server_ppm = median_of(server_),
                    .total_ppm = median_of(total_)};
}

}  // namespace cleave::agent
