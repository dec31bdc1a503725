// SPDX-License-Identifier: Apache-2.0
#include "planner/score.h"

#include "planner/fixed_point.h"

namespace cleave::planner {
namespace {

constexpr std::uint64_t kBitsPerByte = 8;
constexpr std::uint64_t kNsPerHour = 3600 * kNsPerSecond;
constexpr std::uint64_t kPicojoulesPerMicrojoule = 1'000'000;
constexpr std::uint64_t kBytesPerGb = 1'000'000'000;
constexpr std::uint64_t kMicrojoulesPerKwh = 3'600'000'000'000;

bool is_absent(const Link& link) { return !link.available || link.bandwidth_bps == 0; }

unsigned broken_by_candidate(const Candidate& candidate, const Caps& caps) {
  unsigned broken = kBoundNone;
  if (candidate.edge_ram_bytes > caps.ram_bytes) broken |= kBoundRam;
  if (candidate.edge_storage_bytes > caps.storage_bytes) broken |= kBoundStorage;
  if (candidate.split < caps.min_split) broken |= kBoundPrivacyFloor;
  if (candidate.disagreement_ppm > caps.disagreement_ppm) broken |= kBoundDisagreement;
  return broken;
}

unsigned broken_by_objectives(const Score& score, const Caps& caps) {
  unsigned broken = kBoundNone;
  if (score.latency_ns > caps.deadline_ns) broken |= kBoundDeadline;
  if (score.energy_uj > caps.energy_budget_uj) broken |= kBoundEnergy;
  if (score.cost_ueur > caps.cost_bound_ueur) broken |= kBoundCost;
  return broken;
}

// A server that is refused is not asked, so it cannot be said to be absent.
unsigned broken_by_server(bool absent, const Caps& caps) {
  if (caps.server_refused) return kBoundServerRefused;
  return absent ? kBoundServerAbsent : kBoundNone;
}

// With no server no bytes are sent, nothing is waited for and no work is paid.
void add_objectives(const Candidate& candidate, const Conditions& conditions, Score& score) {
  const Link& link = conditions.link;
  const std::uint64_t edge_ns = candidate.edge_latency_ns;
  std::uint64_t bytes = 0, work_ns = 0, wait_ns = 0;
  if (candidate.needs_server) {
    bytes = sent_bytes(candidate, conditions);
    work_ns = candidate.server_latency_ns;
    score.tx_ns = transmit_ns(bytes, link);
    wait_ns = saturating_add(score.tx_ns, saturating_add(link.server_queue_ns, work_ns));
  }
  score.latency_ns = saturating_add(edge_ns, wait_ns);
  score.energy_uj = energy_uj(conditions.energy, edge_ns, bytes, wait_ns);
  score.cost_ueur = cost_ueur(conditions.prices, work_ns, bytes, score.energy_uj);
}

}  // namespace

std::uint64_t sent_bytes(const Candidate& candidate, const Conditions& conditions) {
  if (!candidate.needs_server) return 0;
  if (candidate.split == 0) {
    for (const PictureBytes& known : conditions.picture_bytes) {
      if (known.codec == candidate.codec) return known.bytes;
    }
  }
  const bool larger = candidate.boundary_bytes_p95 > candidate.boundary_bytes;
  return larger && conditions.bytes_at == Percentile::kP95 ? candidate.boundary_bytes_p95
                                                           : candidate.boundary_bytes;
}

std::uint64_t transmit_ns(std::uint64_t boundary_bytes, const Link& link) {
  const std::uint64_t serialization_ns =
      saturating_muldiv_up(boundary_bytes, kBitsPerByte * kNsPerSecond, link.bandwidth_bps);
  return saturating_add(serialization_ns, link.rtt_ns);
}

std::uint64_t energy_uj(const EnergyModel& model, std::uint64_t edge_ns, std::uint64_t sent_bytes,
                        std::uint64_t wait_ns) {
  // uW * ns / 1e9 = uJ, and pJ / 1e6 = uJ.
  const std::uint64_t compute = convert_up<kNsPerSecond>(edge_ns, model.compute_uw);
  const std::uint64_t radio =
      convert_up<kPicojoulesPerMicrojoule>(sent_bytes, model.radio_pj_per_byte);
  const std::uint64_t idle = convert_up<kNsPerSecond>(wait_ns, model.idle_uw);
  return saturating_add(saturating_add(compute, radio), idle);
}

std::uint64_t cost_ueur(const Prices& prices, std::uint64_t work_ns, std::uint64_t sent_bytes,
                        std::uint64_t energy_uj) {
  const std::uint64_t time =
      convert_up<kNsPerHour>(saturating_mul(prices.requests, work_ns), prices.server_ueur_per_hour);
  const std::uint64_t egress = convert_up<kBytesPerGb>(saturating_mul(prices.requests, sent_bytes),
                                                       prices.egress_ueur_per_gb);
  const std::uint64_t energy = convert_up<kMicrojoulesPerKwh>(
      saturating_mul(prices.requests, energy_uj), prices.energy_ueur_per_kwh);
  return saturating_add(saturating_add(time, egress), energy);
}

Score score(const Candidate& candidate, const Conditions& conditions) {
  Score result;
  result.memory_bytes = candidate.edge_memory_bytes;
  unsigned broken = broken_by_candidate(candidate, conditions.caps);
  const bool out_of_reach = candidate.needs_server && is_absent(conditions.link);
  if (candidate.needs_server) broken |= broken_by_server(out_of_reach, conditions.caps);
  if (out_of_reach) {
    result.latency_ns = result.energy_uj = result.cost_ueur = result.tx_ns = kSaturated;
  } else {
    add_objectives(candidate, conditions, result);
    broken |= broken_by_objectives(result, conditions.caps);
  }
  result.broken = static_cast<std::uint16_t>(broken);
  return result;
}

}  // namespace cleave::planner
