// SPDX-License-Identifier: Apache-2.0
#include "planner/score.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

Score score_of(const Candidate& candidate, const Link& link, const Caps& caps = {}) {
  return score(candidate, conditions_of(link, caps));
}

TEST_CASE("transmission is bytes over bandwidth plus one round trip") {
  CHECK(transmit_ns(0, link_of(10'000'000, 40'000'000)) == 40'000'000);
  CHECK(transmit_ns(1'250'000, link_of(10'000'000, 40'000'000)) == 1'040'000'000);
  CHECK(transmit_ns(1, link_of(3'000'000'000)) == 3);  // 2.67 ns
  CHECK(transmit_ns(0, link_of(0)) == kMax);
  CHECK(transmit_ns(kMax, link_of(1, 5)) == kMax);
  CHECK(transmit_ns(1, link_of(8, kMax)) == kMax);
}

TEST_CASE("every broken bound is named, and a bound that is met exactly holds") {
  Candidate c = split_candidate(3, 10, 20, 30, 0);
  c.edge_ram_bytes = 100;
  c.edge_storage_bytes = 200;
  const Link link = link_of(8'000'000'000);
  CHECK(score_of(c, link, {.ram_bytes = 100, .storage_bytes = 200, .min_split = 3}).broken == 0);
  CHECK(score_of(c, link, {.ram_bytes = 99, .storage_bytes = 200}).broken == kBoundRam);
  CHECK(score_of(c, link, {.ram_bytes = 100, .storage_bytes = 199}).broken == kBoundStorage);
  CHECK(score_of(c, link, {.min_split = 4}).broken == kBoundPrivacyFloor);
  CHECK(score_of(c, {}, {.ram_bytes = 0, .storage_bytes = 0, .min_split = 4}).broken ==
        (kBoundRam | kBoundStorage | kBoundServerAbsent | kBoundPrivacyFloor));
}

TEST_CASE("a link that is down or carries nothing is an absent server") {
  const Candidate c = split_candidate(1, 10, 0, 30, 0);
  Link down = link_of(10'000'000);
  down.available = false;
  CHECK(score_of(c, down).broken == kBoundServerAbsent);
  CHECK(score_of(c, down).latency_ns == kMax);
  CHECK(score_of(c, link_of(0)).broken == kBoundServerAbsent);
  CHECK(score_of(edge_candidate(2, 10, 0), down).broken == kBoundNone);
  CHECK(score_of(edge_candidate(2, 10, 0), down).latency_ns == 10);
}

TEST_CASE("latency saturates at the extremes, in whatever part they are") {
  const Link link = link_of(8'000'000'000);
  CHECK(score_of(split_candidate(1, kMax, 1, 0, 0), link).latency_ns == kMax);
  CHECK(score_of(split_candidate(1, 0, kMax, 1, 0), link).latency_ns == kMax);
  CHECK(score_of(split_candidate(1, 1, 0, kMax, 0), link).latency_ns == kMax);
  CHECK(score_of(split_candidate(1, kMax - 2, 1, 1, 0), link).latency_ns == kMax);
  CHECK(score_of(split_candidate(1, kMax - 3, 1, 1, 0), link).latency_ns == kMax - 1);
}

TEST_CASE("the queue at the server is waited for, not paid for") {
  Conditions now = conditions_of(link_of(8'000'000'000));
  now.link.server_queue_ns = 500;
  now.energy.idle_uw = 1'000'000'000;  // a microjoule a nanosecond
  now.prices = {.requests = 1, .server_ueur_per_hour = 3'600'000'000'000};  // and a micro-euro
  const Score s = score(split_candidate(1, 10, 20, 30, 0), now);
  CHECK(s.tx_ns == 20);
  CHECK(s.latency_ns == 10 + 20 + 500 + 30);
  CHECK(s.energy_uj == 20 + 500 + 30);
  CHECK(s.cost_ueur == 30);
}

TEST_CASE("energy of a Pi-like board, by hand") {
  const EnergyModel pi{.compute_uw = 5'100'000, .radio_pj_per_byte = 600'000, .idle_uw = 2'000'000};
  // 5.1 W for 200 ms, 100 kB at 600 nJ, 2 W for 300 ms.
  CHECK(energy_uj(pi, 200 * kMillisecond, 100'000, 300 * kMillisecond) ==
        1'020'000 + 60'000 + 600'000);
  Conditions now = conditions_of(link_of(8'000'000, 100 * kMillisecond));
  now.energy = pi;
  // 100 kB take 100 ms and the round trip another 100; the server 100.
  const Candidate c = split_candidate(3, 200 * kMillisecond, 100'000, 100 * kMillisecond, 0);
  CHECK(score(c, now).energy_uj == 1'680'000);
  CHECK(score(edge_candidate(9, 200 * kMillisecond, 0), now).energy_uj == 1'020'000);
}

TEST_CASE("each term of the energy is rounded up by itself") {
  const EnergyModel one{.compute_uw = 1, .radio_pj_per_byte = 1, .idle_uw = 1};
  CHECK(energy_uj(one, 0, 0, 0) == 0);
  CHECK(energy_uj(one, 1, 0, 0) == 1);
  CHECK(energy_uj(one, 1, 1, 1) == 3);
  CHECK(energy_uj(one, 1'000'000'000, 1'000'000, 1'000'000'000) == 3);
  CHECK(energy_uj(one, 1'000'000'001, 1'000'001, 1'000'000'001) == 6);
  CHECK(energy_uj({}, kMax, kMax, kMax) == 0);  // no model, no energy
}

TEST_CASE("energy saturates at the extremes of each term, and of the sum") {
  const EnergyModel compute{.compute_uw = kMax};
  CHECK(energy_uj(compute, kMax - 1, 0, 0) == kMax);
  CHECK(energy_uj(compute, 1'000'000'000, 0, 0) == kMax);
  CHECK(energy_uj(compute, 999'999'999, 0, 0) == 18'446'744'055'262'807'542u);  // 2^64 (1 - 1e-9)
  CHECK(energy_uj({.radio_pj_per_byte = kMax}, 0, 1'000'001, 0) == kMax);
  CHECK(energy_uj({.idle_uw = kMax}, 0, 0, 1'000'000'001) == kMax);
  // Each term fits, their sum does not.
  const EnergyModel all{
      .compute_uw = 1'000'000'000, .radio_pj_per_byte = 1'000'000, .idle_uw = 1'000'000'000};
  CHECK(energy_uj(all, kMax - 3, 1, 1) == kMax - 1);
  CHECK(energy_uj(all, kMax - 3, 1, 2) == kMax);
  CHECK(energy_uj(all, kMax - 3, 2, 2) == kMax);
  CHECK(energy_uj(all, kMax - 1, kMax - 1, kMax - 1) == kMax);
  // What is longer than anything takes more than anything, however little power it is.
  CHECK(energy_uj({.compute_uw = 1}, kMax, 0, 0) == kMax);
  CHECK(energy_uj({.idle_uw = 1}, 0, 0, kMax) == kMax);
  CHECK(energy_uj({.compute_uw = 1}, kMax - 1, 0, 0) == 18'446'744'074u);
}

TEST_CASE("cost of a million pictures on a small rented server, by hand") {
  // EUR 0.0116 an hour and EUR 0.09 a gigabyte: 50 ms and 100 kB a million times are
  // 13.9 hours and 100 GB.
  const Prices prices{.server_ueur_per_hour = 11'600, .egress_ueur_per_gb = 90'000};
  CHECK(cost_ueur(prices, 50 * kMillisecond, 0, 0) == 161'112);  // 161111.1
  CHECK(cost_ueur(prices, 0, 100'000, 0) == 9'000'000);
  CHECK(cost_ueur(prices, 50 * kMillisecond, 100'000, 0) == 9'161'112);
  Conditions now = conditions_of(link_of(8'000'000));
  now.prices = prices;
  CHECK(score(split_candidate(3, 1, 100'000, 50 * kMillisecond, 0), now).cost_ueur == 9'161'112);
  CHECK(score(edge_candidate(9, 1, 0), now).cost_ueur == 0);
}

TEST_CASE("cost saturates at the extremes of each product, and of the sum") {
  const Prices time{.requests = 2, .server_ueur_per_hour = 1};
  CHECK(cost_ueur(time, kMax / 2, 0, 0) == 5'124'096);  // (2^64 - 2) / 3.6e12, rounded up
  CHECK(cost_ueur(time, kMax / 2 + 1, 0, 0) == kMax);   // 2^64 ns are more than can be counted
  CHECK(cost_ueur({.requests = kMax, .server_ueur_per_hour = 1}, 2, 0, 0) == kMax);
  CHECK(cost_ueur({.requests = 1, .server_ueur_per_hour = kMax}, 3'600'000'000'001, 0, 0) == kMax);
  CHECK(cost_ueur({.requests = 2, .egress_ueur_per_gb = 1}, 0, kMax / 2 + 1, 0) == kMax);
  CHECK(cost_ueur({.requests = 1, .egress_ueur_per_gb = kMax}, 0, 1'000'000'001, 0) == kMax);
  const Prices both{.requests = 1,
                    .server_ueur_per_hour = 3'600'000'000'000,
                    .egress_ueur_per_gb = 1'000'000'000};
  CHECK(cost_ueur(both, kMax - 2, 1, 0) == kMax - 1);
  CHECK(cost_ueur(both, kMax - 2, 2, 0) == kMax);
  CHECK(cost_ueur(both, kMax - 2, 3, 0) == kMax);
  CHECK(cost_ueur({.requests = 0, .server_ueur_per_hour = kMax, .egress_ueur_per_gb = kMax}, kMax,
                  kMax, 0) == 0);
  CHECK(cost_ueur({.requests = kMax}, kMax, kMax, kMax) == 0);  // no prices, no cost
}

TEST_CASE("a device's energy has its price, with or without a server, by hand") {
  // 2 J a picture are 2 MJ a million times, 0.5556 kWh, at EUR 0.20 each.
  const Prices prices{.energy_ueur_per_kwh = 200'000};
  CHECK(cost_ueur(prices, 0, 0, 2'000'000) == 111'112);  // 111111.1
  CHECK(cost_ueur(prices, kMax, kMax, 0) == 0);
  Conditions now = conditions_of(link_of(8'000'000, 100 * kMillisecond));
  now.energy = {.compute_uw = 5'000'000, .radio_pj_per_byte = 600'000, .idle_uw = 2'000'000};
  now.prices = prices;
  CHECK(score(edge_candidate(9, 400 * kMillisecond, 0), now).cost_ueur == 111'112);
  // 1 J of head, 0.06 J of radio, 0.5 J of waiting for 100 kB, the round trip and 50 ms.
  const Candidate split = split_candidate(3, 200 * kMillisecond, 100'000, 50 * kMillisecond, 0);
  CHECK(score(split, now).energy_uj == 1'560'000);
  CHECK(score(split, now).cost_ueur == 86'667);  // 86666.7
  now.prices.server_ueur_per_hour = 11'600;
  now.prices.egress_ueur_per_gb = 90'000;
  CHECK(score(split, now).cost_ueur == 86'667 + 161'112 + 9'000'000);
  now.caps.cost_bound_ueur = 111'111;
  CHECK(score(edge_candidate(9, 400 * kMillisecond, 0), now).broken == kBoundCost);
}

TEST_CASE("the price of energy saturates like the others") {
  const Prices one{.requests = 2, .energy_ueur_per_kwh = 1};
  CHECK(cost_ueur(one, 0, 0, kMax / 2) == 5'124'096);  // (2^64 - 2) / 3.6e12, rounded up
  CHECK(cost_ueur(one, 0, 0, kMax / 2 + 1) == kMax);
  CHECK(cost_ueur({.requests = 1, .energy_ueur_per_kwh = kMax}, 0, 0, 3'600'000'000'001) == kMax);
  CHECK(cost_ueur({.requests = 0, .energy_ueur_per_kwh = kMax}, 0, 0, kMax) == 0);
  // Each part fits, the sum of all three does not.
  const Prices all{.requests = 1,
                   .server_ueur_per_hour = 3'600'000'000'000,
                   .egress_ueur_per_gb = 1'000'000'000,
                   .energy_ueur_per_kwh = 3'600'000'000'000};
  CHECK(cost_ueur(all, kMax - 3, 1, 1) == kMax - 1);
  CHECK(cost_ueur(all, kMax - 3, 1, 2) == kMax);
  CHECK(cost_ueur(all, kMax - 3, 2, 2) == kMax);
  CHECK(cost_ueur(all, kMax - 1, kMax - 1, kMax - 1) == kMax);
  Conditions now;
  now.energy.compute_uw = 1;
  now.prices = one;
  CHECK(score(edge_candidate(9, kMax, 0), now).cost_ueur == kMax);  // beyond counting
  now.prices.energy_ueur_per_kwh = 0;
  CHECK(score(edge_candidate(9, kMax, 0), now).cost_ueur == 0);
}

TEST_CASE("a radio of less than a nanojoule a byte is not rounded to one") {
  const EnergyModel frugal{.radio_pj_per_byte = 100};
  CHECK(energy_uj(frugal, 0, 1'000'000, 0) == 100);
  CHECK(energy_uj(frugal, 0, 10'001, 0) == 2);
  CHECK(energy_uj({.radio_pj_per_byte = 1'100}, 0, 1'000'000, 0) == 1'100);
}

TEST_CASE("the percentile asked for decides which coded size counts") {
  Candidate c = split_candidate(2, 0, 1000, 0, 0);
  c.boundary_bytes_p95 = 1500;
  Conditions now = conditions_of(link_of(8'000'000'000));
  CHECK(sent_bytes(c, now) == 1000);
  CHECK(score(c, now).tx_ns == 1000);
  now.bytes_at = Percentile::kP95;
  CHECK(sent_bytes(c, now) == 1500);
  CHECK(score(c, now).tx_ns == 1500);
  c.boundary_bytes_p95 = 0;  // nobody measured it
  CHECK(sent_bytes(c, now) == 1000);
  c.needs_server = false;
  CHECK(sent_bytes(c, now) == 0);
}

TEST_CASE("the bytes of this picture replace those of its codec at k = 0 alone") {
  Candidate c = split_candidate(0, 0, 1000, 0, 0);
  c.boundary_bytes_p95 = 1500;
  c.codec = 3;
  const PictureBytes known[] = {
      {.codec = 2, .bytes = 7}, {.codec = 3, .bytes = 40'000}, {.codec = 3, .bytes = 9}};
  Conditions now = conditions_of(link_of(8'000'000'000));
  now.picture_bytes = known;
  for (const Percentile percentile : {Percentile::kMedian, Percentile::kP95}) {
    now.bytes_at = percentile;
    CHECK(sent_bytes(c, now) == 40'000);
  }
  CHECK(score(c, now).latency_ns == 40'000);
  c.codec = 4;
  CHECK(sent_bytes(c, now) == 1500);
  c.codec = 3;
  c.split = 1;
  CHECK(sent_bytes(c, now) == 1500);
}

TEST_CASE("deadline, energy budget and cost bound hold up to the last unit") {
  Conditions now = conditions_of(link_of(8'000'000'000));
  now.energy.compute_uw = 1'000'000'000;
  now.prices = {.requests = 1, .server_ueur_per_hour = 3'600'000'000'000};
  const Candidate c = split_candidate(1, 100, 20, 30, 0);
  now.caps = {.deadline_ns = 150, .energy_budget_uj = 100, .cost_bound_ueur = 30};
  CHECK(score(c, now).broken == kBoundNone);
  now.caps.deadline_ns = 149;
  CHECK(score(c, now).broken == kBoundDeadline);
  now.caps.energy_budget_uj = 99;
  now.caps.cost_bound_ueur = 29;
  CHECK(score(c, now).broken == (kBoundDeadline | kBoundEnergy | kBoundCost));
  CHECK(score(edge_candidate(2, 100, 0), now).broken == kBoundEnergy);
}

TEST_CASE("only the exact model's answers are taken, unless a rate of others is allowed") {
  Candidate c = split_candidate(1, 1, 1, 1, 0);
  const Link link = link_of(8'000'000'000);
  CHECK(score_of(c, link).broken == kBoundNone);
  c.disagreement_ppm = 1;
  CHECK(score_of(c, link).broken == kBoundDisagreement);
  CHECK(score_of(c, link, {.disagreement_ppm = 1}).broken == kBoundNone);
}

TEST_CASE("a server that is refused is something else than one that does not answer") {
  const Candidate c = split_candidate(1, 10, 20, 30, 0);
  const Link up = link_of(8'000'000'000);
  const Caps refused{.server_refused = true};
  const Score s = score_of(c, up, refused);
  CHECK(s.broken == kBoundServerRefused);
  CHECK(s.latency_ns == 60);                                      // what is forgone is known
  CHECK(score_of(c, {}, refused).broken == kBoundServerRefused);  // nobody was asked
  CHECK(score_of(c, {}).broken == kBoundServerAbsent);
  CHECK(score_of(edge_candidate(2, 10, 0), up, refused).broken == kBoundNone);
}

TEST_CASE("out of reach: everything is saturated, and no bound on it is judged") {
  const Caps caps{.deadline_ns = 1, .energy_budget_uj = 1, .cost_bound_ueur = 1};
  const Score s = score_of(split_candidate(1, 10, 20, 30, 7), {}, caps);
  CHECK(s.broken == kBoundServerAbsent);
  CHECK(s.latency_ns == kMax);
  CHECK(s.tx_ns == kMax);
  CHECK(s.energy_uj == kMax);
  CHECK(s.cost_ueur == kMax);
  CHECK(s.memory_bytes == 7);
}

}  // namespace
}  // namespace cleave::planner
