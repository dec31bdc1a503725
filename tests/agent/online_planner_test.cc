// SPDX-License-Identifier: Apache-2.0
#include "agent/online_planner.h"

#include <doctest/doctest.h>

#include "tests/agent/online_bench.h"

namespace cleave::agent {
namespace {

using namespace testing;

Choice choose(OnlinePlanner& planner, const Situation& situation) {
  const auto choice = planner.choose(situation);
  REQUIRE(choice.is_ok());
  return *choice;
}

// What this choice takes where everything is as fast as the tables say and the link has `bps`.
Outcome as_planned(const OnlineBench& bench, const Choice& choice, std::uint64_t now_ns,
                   std::uint64_t bytes_up, std::uint64_t bps) {
  Outcome outcome;
  outcome.now_ns = now_ns;
  outcome.op_boundary = choice.split.op_boundary;
  outcome.file_bytes = 100'000;
  outcome.decoded = choice.split.op_boundary > 0;
  outcome.input_ns = outcome.decoded ? 2 * kMillisecond : 50'000;
  outcome.head_ns = bench.splits->edge_ops_ns(choice.split.op_boundary);
  outcome.bytes_up = bytes_up;
  outcome.link_ns = kMillisecond + bytes_up * 8'000'000'000 / bps;
  outcome.sent_jpeg = choice.split.op_boundary == 0;
  outcome.decode_ns = outcome.sent_jpeg ? 3 * kMillisecond : 0;
  outcome.compute_ns = bench.splits->server_ops_ns(choice.split.op_boundary);
  outcome.residence_ns = outcome.decode_ns + outcome.compute_ns;
  return outcome;
}

}  // namespace

TEST_CASE("a choice says what each part is expected to take") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  const Choice choice = choose(planner, reached_at(0));
  // The JPEG: 8 ms and a round trip on the link, then 3 ms to decode and 4 layers.
  CHECK(choice.split.op_boundary == 0);
  CHECK(choice.predicted.edge_ns == 0);
  CHECK(choice.predicted.link_ns == 9 * kMillisecond);
  CHECK(choice.predicted.server_ns == 7 * kMillisecond);
  const PartTimes alone = planner.predict(reached_at(0), {4, 4});
  CHECK(alone.edge_ns == 42 * kMillisecond);
  CHECK(alone.link_ns + alone.server_ns == 0);
}

TEST_CASE("while all is as the tables say, predictions stay, and are what happens") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  for (std::uint64_t i = 1; i <= 20; ++i) {
    const Choice choice = choose(planner, reached_at(i * kMillisecond));
    const Outcome outcome = as_planned(bench, choice, i * kMillisecond, 100'000, 100'000'000);
    CHECK(choice.predicted.link_ns == outcome.link_ns);
    CHECK(choice.predicted.server_ns == outcome.residence_ns);
    planner.observe(outcome);
  }
}

TEST_CASE("a device that is faster than its table answers alone once that was seen") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  CHECK(choose(planner, reached_at(0)).split.op_boundary == 0);
  // Seen in fallbacks, say: the whole network in 4 ms and the picture in 1.
  for (int i = 0; i < 3; ++i) {
    planner.observe({.op_boundary = 4,
                     .file_bytes = 100'000,
                     .decoded = true,
                     .input_ns = kMillisecond,
                     .head_ns = 4 * kMillisecond});
  }
  CHECK(choose(planner, reached_at(0)).split.op_boundary == 0);  // kept for a while
  const Choice choice = choose(planner, reached_at(3'000 * kMillisecond));
  CHECK(choice.split.op_boundary == 4);
  CHECK(choice.predicted.total_ns() >= 5 * kMillisecond);
  CHECK(choice.predicted.total_ns() < 5 * kMillisecond + 1000);  // factors round up
}

TEST_CASE("decoding is expected to take as long for each byte as it did") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  CHECK_FALSE(planner.corrections_for(1000, 0).edge_input_ns.has_value());
  planner.observe({.op_boundary = 1,
                   .file_bytes = 200'000,
                   .decoded = true,
                   .input_ns = 10 * kMillisecond,
                   .head_ns = 1});
  const auto expected = planner.corrections_for(400'000, 0).edge_input_ns;
  REQUIRE(expected.has_value());
  CHECK(*expected >= 20 * kMillisecond);
  CHECK(*expected < 20 * kMillisecond + 1000);
}

TEST_CASE("the server's decoding is expected to take as long for each byte as it did") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  planner.observe({.file_bytes = 5'000'000,
                   .bytes_up = 5'000'000,
                   .link_ns = 401 * kMillisecond,
                   .sent_jpeg = true,
                   .residence_ns = 154 * kMillisecond,
                   .decode_ns = 150 * kMillisecond,
                   .compute_ns = 4 * kMillisecond});
  const auto of_small = planner.corrections_for(100'000, 0).server_decode_ns;
  REQUIRE(of_small.has_value());
  CHECK(*of_small >= 3 * kMillisecond);
  CHECK(*of_small < 3 * kMillisecond + 1000);
  const Choice choice = choose(planner, reached_at(0));
  CHECK(choice.split.op_boundary == 0);
  CHECK(choice.sends_file);
}

TEST_CASE("each picture goes in its own better form, whatever the one before went in") {
  const OnlineBench bench;
  EdgeTable slow = bench.edge_table();
  slow.op_ns.assign(4, 100 * kMillisecond);
  REQUIRE(bench.splits->set_edge_table(slow).is_ok());
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  Situation photo = reached_at(0);
  photo.picture.file_bytes = photo.file_bytes = 5'000'000;
  Situation other = reached_at(0);
  other.picture = {};
  const std::pair<const Situation*, bool> pictures[] = {
      {&photo, false}, {nullptr, true}, {&photo, false}, {&other, false}, {nullptr, true}};
  std::uint64_t now_ns = 0;
  for (const auto& [situation, as_file] : pictures) {
    Situation now = situation == nullptr ? reached_at(0) : *situation;
    now.now_ns = now_ns += 100 * kMillisecond;
    const Choice choice = choose(planner, now);
    CAPTURE(now_ns);
    CHECK(choice.split.op_boundary == 0);
    CHECK(choice.sends_file == as_file);
  }
}

TEST_CASE("a server whose queue is long is left to others") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  for (int i = 0; i < 3; ++i) {
    const Choice choice = choose(planner, reached_at(0));
    CHECK(choice.split.op_boundary == 0);
    Outcome outcome = as_planned(bench, choice, 0, 100'000, 100'000'000);
    outcome.residence_ns += i == 0 ? 0 : 50 * kMillisecond;
    planner.observe(outcome);
  }
  CHECK(planner.link_at(0, true).server_queue_ns == 50 * kMillisecond);
  CHECK(choose(planner, reached_at(0)).split.op_boundary == 0);  // kept for a while
  const Choice choice = choose(planner, reached_at(3'000 * kMillisecond));
  CHECK(choice.split.op_boundary == 4);
  CHECK(planner.predict(reached_at(0), {0, 0}).server_ns == 57 * kMillisecond);
}

namespace {

constexpr std::uint64_t kSecond = 1'000 * kMillisecond;

// Three pictures that the server answers, each after a wait of 2 s there.
void see_a_busy_server(const OnlineBench& bench, OnlinePlanner& planner) {
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Choice choice = choose(planner, reached_at(i));
    CHECK(choice.split.op_boundary == 0);
    Outcome outcome = as_planned(bench, choice, i, 100'000, 100'000'000);
    outcome.residence_ns += 2 * kSecond;
    planner.observe(outcome);
  }
}

// The device alone, at `times` what its table says.
Outcome alone_at(std::uint64_t now_ns, std::uint64_t times) {
  return {.now_ns = now_ns,
          .op_boundary = 4,
          .file_bytes = 100'000,
          .decoded = true,
          .input_ns = 2 * kMillisecond * times,
          .head_ns = 40 * kMillisecond * times};
}

}  // namespace

TEST_CASE("a server that was busy is asked again after a while") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  see_a_busy_server(bench, planner);
  CHECK(choose(planner, reached_at(3 * kSecond)).split.op_boundary == 4);
  // The device's answers say nothing of the server.
  planner.observe(alone_at(590 * kSecond, 1));
  CHECK(choose(planner, reached_at(600 * kSecond)).split.op_boundary == 0);
}

TEST_CASE("a server that computed slowly for a while is asked again") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Choice choice = choose(planner, reached_at(i));
    Outcome outcome = as_planned(bench, choice, i, 100'000, 100'000'000);
    outcome.compute_ns *= 100;
    outcome.decode_ns *= 100;
    outcome.input_ns *= 1000;  // nor was the file read fast
    outcome.residence_ns = outcome.compute_ns + outcome.decode_ns;
    planner.observe(outcome);
  }
  CHECK(choose(planner, reached_at(3 * kSecond)).split.op_boundary == 4);
  // The same machine connected to again is not another one.
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  CHECK(choose(planner, reached_at(20 * kSecond)).split.op_boundary == 4);
  CHECK(choose(planner, reached_at(600 * kSecond)).split.op_boundary == 0);
}

TEST_CASE("a device that was slow for three pictures is tried again after a while") {
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.initial_link.bandwidth_bps = 10'000'000;  // 81 ms for the file: the device is faster
  OnlinePlanner planner(bench.splits.get(), options);
  HandshakeSeen seen = bench.handshake();
  seen.rtt_ns = 40 * kMillisecond;
  REQUIRE(planner.take_handshake(seen).is_ok());
  CHECK(choose(planner, reached_at(0)).split.op_boundary == 4);
  for (std::uint64_t i = 1; i <= 3; ++i) planner.observe(alone_at(i, 50));
  CHECK(choose(planner, reached_at(3 * kSecond)).split.op_boundary == 0);
  // The server's answers say nothing of the device.
  Choice choice = choose(planner, reached_at(590 * kSecond));
  Outcome outcome =
      as_planned(bench, {.split = {0, 0}, .fallback = {}, .bounds_missed = {}, .predicted = {}},
                 590 * kSecond, 100'000, 10'000'000);
  outcome.link_ns += 39 * kMillisecond;
  planner.observe(outcome);
  choice = choose(planner, reached_at(600 * kSecond));
  CHECK(choice.split.op_boundary == 4);
  CHECK(choice.predicted.total_ns() < 43 * kMillisecond);
}

TEST_CASE("a server that is always busy is asked less and less often") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  see_a_busy_server(bench, planner);
  int asked_early = 0;
  int asked_late = 0;
  constexpr std::uint64_t kPictures = 7200;  // two hours, one a second
  for (std::uint64_t second = 3; second < kPictures; ++second) {
    const Choice choice = choose(planner, reached_at(second * kSecond));
    if (choice.split.op_boundary == 4) {
      planner.observe(alone_at(second * kSecond, 1));
      continue;
    }
    ++(second < kPictures / 2 ? asked_early : asked_late);
    Outcome outcome = as_planned(bench, choice, second * kSecond, 100'000, 100'000'000);
    outcome.residence_ns += 2 * kSecond;
    planner.observe(outcome);
  }
  CHECK(asked_late > 0);
  CHECK(asked_late <= asked_early);
  CHECK(asked_early + asked_late < 20);
}

TEST_CASE("a server slower than its table is corrected; another server's table starts anew") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  Outcome outcome = as_planned(bench, choose(planner, reached_at(0)), 0, 100'000, 100'000'000);
  outcome.compute_ns *= 3;
  outcome.decode_ns *= 2;
  outcome.residence_ns = outcome.compute_ns + outcome.decode_ns;
  planner.observe(outcome);
  CHECK(planner.predict(reached_at(0), {0, 0}).server_ns == 18 * kMillisecond);
  // The same table again: what was learned holds.
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  CHECK(planner.predict(reached_at(0), {0, 0}).server_ns == 18 * kMillisecond);
  HandshakeSeen other = bench.handshake();
  other.op_ns[0] += 1;
  REQUIRE(planner.take_handshake(other).is_ok());
  CHECK(planner.predict(reached_at(0), {0, 0}).server_ns == 7 * kMillisecond + 1);
  other.op_ns.push_back(1);
  CHECK(planner.take_handshake(other).code() == StatusCode::kMismatch);
}

TEST_CASE("at half the clock the device's table doubles, and what was learned is forgotten") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  CHECK(planner.predict(reached_at(0), {4, 4}).edge_ns == 42 * kMillisecond);
  planner.observe({.op_boundary = 4,
                   .file_bytes = 100'000,
                   .decoded = true,
                   .input_ns = 2 * kMillisecond,
                   .head_ns = 80 * kMillisecond});
  CHECK(planner.predict(reached_at(0), {4, 4}).edge_ns > 81 * kMillisecond);
  planner.take_speed({.clock_khz = 500'000, .cores = 1});
  CHECK(planner.predict(reached_at(0), {4, 4}).edge_ns == 84 * kMillisecond);
  planner.take_speed({});  // not known: nothing is scaled
  CHECK(planner.predict(reached_at(0), {4, 4}).edge_ns == 42 * kMillisecond);
}

TEST_CASE("without the server the device answers, and says why") {
  const OnlineBench bench;
  OnlinePlanner planner(bench.splits.get(), least_latency());
  Situation situation = reached_at(0);
  situation.reached = false;
  situation.unreached_why = "gone";
  const Choice choice = choose(planner, situation);
  CHECK(choice.split.op_boundary == 4);
  CHECK(choice.fallback == "gone");
  situation.caps.ram_bytes = 1;
  const auto none = planner.choose(situation);
  CHECK_FALSE(none.is_ok());
  CHECK(none.status().message().find("RAM") != std::string::npos);
}

TEST_CASE(
    "a deadline that nothing keeps for a while: the fastest answers, until it is kept again") {
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kLmos;
  OnlinePlanner planner(bench.splits.get(), options);
  Situation situation = reached_at(0);
  situation.has_server = situation.reached = false;
  situation.caps.deadline_ns = 100 * kMillisecond;
  CHECK(choose(planner, situation).bounds_missed.empty());
  for (std::uint64_t i = 1; i <= 3; ++i) planner.observe(alone_at(i, 4));
  situation.now_ns = kSecond;
  const Choice late = choose(planner, situation);
  CHECK(late.split.op_boundary == 4);
  CHECK(late.bounds_missed == "deadline");
  CHECK(late.fallback.empty());
  CHECK(late.predicted.total_ns() > 160 * kMillisecond);
  for (std::uint64_t i = 1; i <= 3; ++i) planner.observe(alone_at(kSecond + i, 1));
  situation.now_ns = 2 * kSecond;
  CHECK(choose(planner, situation).bounds_missed.empty());
}

TEST_CASE("what breaks every soft bound is the fastest within the hard ones") {
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kLmos;
  options.energy = {.compute_uw = 1'000'000, .radio_pj_per_byte = 1'000'000, .idle_uw = 1000};
  OnlinePlanner planner(bench.splits.get(), options);
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  Situation situation = reached_at(0);
  situation.caps.deadline_ns = kMillisecond;
  situation.caps.energy_budget_uj = 1;
  Choice choice = choose(planner, situation);
  CHECK(choice.split.op_boundary == 0);
  CHECK(choice.bounds_missed == "deadline, energy budget");
  // Gone, and a cap: the device alone, or an error that says what is in the way.
  situation.now_ns = kSecond;
  situation.reached = false;
  situation.unreached_why = "gone";
  choice = choose(planner, situation);
  CHECK(choice.split.op_boundary == 4);
  CHECK(choice.fallback == "gone");
  CHECK(choice.bounds_missed == "deadline, energy budget");
  situation.caps.ram_bytes = 1;
  const auto none = planner.choose(situation);
  REQUIRE_FALSE(none.is_ok());
  CHECK(none.status().message().find("RAM") != std::string::npos);
  // The privacy floor is not traded for time.
  situation = reached_at(2 * kSecond);
  situation.caps.deadline_ns = kMillisecond;
  situation.caps.min_split = 3;
  CHECK(choose(planner, situation).split.layers_on_device >= 3);
}

TEST_CASE("what is past the timeout is not tried while the device can answer") {
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kServerOnly;
  options.timeout_ns = 10 * kMillisecond;
  OnlinePlanner planner(bench.splits.get(), options);
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  const Choice choice = choose(planner, reached_at(0));
  CHECK(choice.split.op_boundary == 4);
  CHECK(choice.fallback.find("16 ms") != std::string::npos);
}

TEST_CASE("a split without a table of this device is not predicted") {
  const OnlineBench bench;
  auto bare = SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(bare.is_ok());
  OnlinePlanner planner(&*bare, least_latency());
  CHECK(planner.predict(reached_at(0), {2, 2}).total_ns() == 0);
  REQUIRE(planner.take_handshake(bench.handshake()).is_ok());
  CHECK(planner.predict(reached_at(0), {2, 2}).total_ns() == 0);
  CHECK(planner.predict(reached_at(0), {0, 0}).total_ns() > 0);
}

}  // namespace cleave::agent
