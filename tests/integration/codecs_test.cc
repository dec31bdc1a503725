// SPDX-License-Identifier: Apache-2.0
//
// Tensors that cross a cut encoded: agent and server with each codec at several cuts.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/support/programs.h"

namespace cleave::test {
namespace {

// `count` of the cuts inside of the network, from its first on.
std::vector<nlohmann::json> some_cuts(const nlohmann::json& variant, std::size_t count) {
  std::vector<nlohmann::json> inner;
  const std::size_t op_count = variant.at("ops").size();
  for (const nlohmann::json& cut : variant.at("cuts")) {
    const std::size_t boundary = cut.at("op_boundary");
    if (boundary > 0 && boundary < op_count) inner.push_back(cut);
  }
  REQUIRE(inner.size() > count);
  std::vector<nlohmann::json> some;
  for (std::size_t i = 0; i < count; ++i) some.push_back(inner[i * (inner.size() - 1) / count]);
  return some;
}

// Of all scores, the furthest from the exact one, in spans of the exact ones.
double furthest(const nlohmann::json& scores, const nlohmann::json& exact) {
  double off = 0;
  double least = exact.at(0);
  double most = exact.at(0);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double is = scores.at(i);
    const double was = exact.at(i);
    off = std::max(off, std::abs(is - was));
    least = std::min(least, was);
    most = std::max(most, was);
  }
  return off / (most - least);
}

struct CodecsBench {
  Workshop workshop;
  std::string model =
      workshop.zoo("mobilenet_v2", {"--input", "96", "--width", "0.35", "--f16", "--int8"});
  std::string picture = workshop.png("picture.png", 3);

  [[nodiscard]] AgentRun run(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"run", "--model", model, "--json", "--scores", picture};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_agent(arguments);
  }
};

// A calibrated network, and a profile of it with pictures.
struct AutoBench {
  CodecsBench bench;
  std::string coded = bench.workshop.path("coded.cleave");
  std::string variant;

  AutoBench() {
    std::filesystem::create_directory(bench.workshop.path("samples"));
    for (const unsigned seed : {3U, 4U, 5U, 6U, 7U}) {
      (void)bench.workshop.png("samples/" + std::to_string(seed) + ".png", seed);
    }
    variant = inspect(bench.model).at("variants").at(0).at("name");
    const Finished made =
        run_program({import_program(), "calibrate-codec", bench.model, coded, "--pictures",
                     samples(), "--split", "4,8,12", "--disagreement", "5%,30%"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  }
  [[nodiscard]] std::string samples() const { return bench.workshop.path("samples"); }
  [[nodiscard]] AgentRun profile() const {
    return run_agent(
        {"profile", "--model", coded, "--variant", variant, "--runs", "2", "--json", samples()});
  }
  // Of a network that this device has no room for as a whole, and whose picture does not travel.
  [[nodiscard]] AgentRun agent(const std::string& command, const std::vector<std::string>& more) {
    if (ram_.empty()) {
      const AgentRun plan =
          run_agent({"plan", "--model", coded, "--variant", variant, "--no-cache", "--json"});
      REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
      const std::uint64_t whole = plan.records.at(0).at("splits").back().at("ram_bytes");
      // What a process holds besides differs by some 100 kB from one to the next.
      ram_ = std::to_string(whole - (1 << 20));
    }
    std::vector<std::string> arguments{command,      "--model",     coded,    "--variant", variant,
                                       "--no-cache", "--min-split", "3",      "--ram",     ram_,
                                       "--policy",   "loa",         "--json", "--codec",   "auto"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_agent(arguments);
  }

 private:
  std::string ram_;
};

}  // namespace

TEST_CASE("each codec at several cuts: bytes on the wire, and scores") {
  const CodecsBench bench;
  const nlohmann::json variant = inspect(bench.model).at("variants").at(0);
  const std::string name = variant.at("name");
  const RunningServer server({bench.model});
  const AgentRun whole = bench.run({"--variant", name, "--split", "all"});
  REQUIRE_MESSAGE(whole.exit_code == 0, whole.err);
  const nlohmann::json exact = whole.records.at(0).at("scores");
  std::uint64_t raw_total = 0;
  std::uint64_t lossless_total = 0;
  for (const nlohmann::json& cut : some_cuts(variant, 4)) {
    const std::uint64_t raw = cut.at("boundary_bytes");
    const std::string split = "op:" + std::to_string(cut.at("op_boundary").get<std::size_t>());
    for (const std::string codec : {"raw", "lossless", "f16", "int8"}) {
      CAPTURE(split);
      CAPTURE(codec);
      const AgentRun run = bench.run(
          {"--variant", name, "--split", split, "--codec", codec, "--server", server.address()});
      REQUIRE_MESSAGE(run.exit_code == 0, run.err);
      const nlohmann::json& record = run.records.at(0);
      CHECK_FALSE(record.contains("fallback"));
      CHECK(record.at("sent") == "tensors");
      CHECK(record.at("codec") == codec);
      CHECK((record.at("encode_ns") > 0) == (codec != std::string("raw")));
      const std::uint64_t bytes = record.at("bytes_up");
      const double off = furthest(record.at("scores"), exact);
      if (codec == "raw") CHECK(bytes == raw);
      if (codec == "lossless") CHECK(bytes <= raw + 64);
      if (codec == "f16") CHECK(bytes <= raw / 2 + 64);
      if (codec == "int8") CHECK(bytes < raw * 2 / 5 + 64);
      if (codec == "raw" || codec == "lossless") {
        CHECK(record.at("scores") == exact);
      } else {
        CHECK(off > 0);
        CHECK(off < (codec == "f16" ? 0.02 : 0.3));
      }
      if (codec == "raw") raw_total += bytes;
      if (codec == "lossless") lossless_total += bytes;
    }
  }
  CHECK(lossless_total < raw_total);
}

TEST_CASE("tensors to which the codec does not apply travel raw, and pictures as they are") {
  const CodecsBench bench;
  const RunningServer server({bench.model});
  const nlohmann::json variant = inspect(bench.model).at("variants").at(2);
  const nlohmann::json cut = some_cuts(variant, 4).at(2);
  const AgentRun s8 =
      bench.run({"--variant", variant.at("name"), "--codec", "f16", "--server", server.address(),
                 "--split", "op:" + std::to_string(cut.at("op_boundary").get<std::size_t>())});
  REQUIRE_MESSAGE(s8.exit_code == 0, s8.err);
  CHECK(s8.records.at(0).at("codec") == "raw");
  CHECK(s8.records.at(0).at("bytes_up") == cut.at("boundary_bytes"));
  const AgentRun pixels =
      bench.run({"--codec", "int8", "--server", server.address(), "--split", "0"});
  REQUIRE_MESSAGE(pixels.exit_code == 0, pixels.err);
  CHECK(pixels.records.at(0).at("sent") == "pixels_u8");
  CHECK_FALSE(pixels.records.at(0).contains("codec"));
}

TEST_CASE("a planned run codes what crosses, and its trace gives the same decisions again") {
  const CodecsBench bench;
  const RunningServer server({bench.model});
  const std::string trace = bench.workshop.path("trace");
  // However fast this device is, it has no room for the whole network.
  const AgentRun plan = run_agent({"plan", "--model", bench.model, "--no-cache", "--json"});
  REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
  const std::uint64_t whole = plan.records.at(0).at("splits").back().at("ram_bytes");
  const AgentRun run = bench.run({"--codec", "int8", "--server", server.address(), "--measure",
                                  "--min-split", "3", "--ram", std::to_string(whole - 1),
                                  "--policy", "loa", "--bandwidth", "1gbit", "--trace", trace});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.records.at(0).at("codec") == "int8");
  const AgentRun replay = run_agent({"plan", "--model", bench.model, "--replay", trace, "--json"});
  REQUIRE_MESSAGE(replay.exit_code == 0, replay.err);
  CHECK(replay.records.at(0).at("decisions") == 1);
  CHECK(replay.records.at(0).at("different") == 0);
}

TEST_CASE(
    "coded: a calibrated model's tensors travel in the fewest bytes, at a level of its table") {
  const CodecsBench bench;
  const std::string coded = bench.workshop.path("coded.cleave");
  std::filesystem::create_directory(bench.workshop.path("samples"));
  for (const unsigned seed : {3U, 4U, 5U}) {
    (void)bench.workshop.png("samples/" + std::to_string(seed) + ".png", seed);
  }
  const Finished made =
      run_program({import_program(), "calibrate-codec", bench.model, coded, "--pictures",
                   bench.workshop.path("samples"), "--split", "5", "--disagreement", "5%,30%"});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  const RunningServer server({coded});
  const auto run = [&](const std::string& codec, const std::string& split) {
    const AgentRun ran = run_agent({"run", "--model", coded, "--json", bench.picture, "--codec",
                                    codec, "--split", split, "--server", server.address()});
    REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
    CHECK_FALSE(ran.records.at(0).contains("fallback"));
    return ran.records.at(0);
  };
  const std::uint64_t int8 = run("int8", "5").at("bytes_up");
  const nlohmann::json fine = run("coded", "5");
  CHECK(fine.at("codec") == "coded:0");
  CHECK(fine.at("bytes_up") < int8);
  const nlohmann::json coarse = run("coded:1", "5");
  CHECK(coarse.at("codec") == "coded:1");
  CHECK(coarse.at("bytes_up") <= fine.at("bytes_up"));
  CHECK(run("coded", "6").at("codec") == "raw");  // a cut without a table
  // A level that no cut has, and a model that was never calibrated, are told before any picture.
  const AgentRun no_level = run_agent(
      {"run", "--model", coded, bench.picture, "--codec", "coded:2", "--server", server.address()});
  CHECK(no_level.exit_code == 3);
  const AgentRun no_table = bench.run({"--codec", "coded", "--server", server.address()});
  CHECK(no_table.exit_code == 3);
  CHECK(no_table.err.find("calibrate-codec") != std::string::npos);
}

TEST_CASE("a profile with pictures has every codec, and inspect for what levels were made") {
  const AutoBench bench;
  const AgentRun profiled = bench.profile();
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  std::size_t lossy = 0;
  for (const nlohmann::json& coded : profiled.records.at(0).at("coded")) {
    if (!coded.contains("codec") || coded.at("codec") == "raw") continue;
    CAPTURE(coded.at("codec").get<std::string>());
    const std::size_t cuts = coded.at("op_boundaries").size();
    CHECK(coded.at("pictures") == 5);
    CHECK(coded.at("encode_ns").size() == cuts);
    if (coded.at("codec") == "lossless") continue;
    ++lossy;
    CHECK(coded.at("compared_pictures") == 5);
    CHECK(coded.at("differing_pictures").size() == cuts);
  }
  CHECK(lossy == 7);  // f16, int8, two levels, and JPEGs of three qualities
  std::size_t tables = 0;
  const nlohmann::json inspected = inspect(bench.coded);
  for (const nlohmann::json& cut : inspected.at("variants").at(0).at("cuts")) {
    if (!cut.contains("coded")) continue;
    ++tables;
    CHECK(cut.at("coded").at(0).at("disagreement_ppm") == 50'000);
    CHECK(cut.at("coded").at(1).at("disagreement_ppm") == 300'000);
  }
  CHECK(tables == 3);
}

TEST_CASE("--codec auto: a run sends what the plan says, more exactly where the link is faster") {
  AutoBench bench;
  REQUIRE(bench.profile().exit_code == 0);
  const RunningServer server({bench.coded});
  const auto choice = [&](const std::vector<std::string>& link, const std::string& disagreement) {
    std::vector<std::string> more{"--server", server.address()};
    more.insert(more.end(), link.begin(), link.end());
    if (!disagreement.empty()) more.insert(more.end(), {"--disagreement", disagreement});
    const AgentRun planned = bench.agent("plan", more);
    REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
    const nlohmann::json chosen = planned.records.at(0).at("choice");
    more.push_back(bench.bench.picture);
    const AgentRun ran = bench.agent("run", more);
    REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
    const nlohmann::json& record = ran.records.at(0);
    CHECK_FALSE(record.contains("fallback"));
    CHECK(record.at("split") == chosen.at("split"));
    CHECK(record.at("codec") == chosen.at("codec"));
    return chosen;
  };
  // One more than those that differ, of six.
  const nlohmann::json slow = choice({"--bandwidth", "50kbit"}, "99%");
  CHECK(slow.at("codec") != "raw");
  CHECK(slow.at("codec") != "lossless");
  CHECK(slow.at("disagreement_ppm") > 0);
  const nlohmann::json limited = choice({"--uplink-limit", "200kbit"}, "99%");
  CHECK(limited.at("codec") != "raw");
  const nlohmann::json fast = choice({"--bandwidth", "100gbit"}, "99%");
  CHECK(fast.at("codec") == "raw");
  CHECK(fast.at("bytes_up") > slow.at("bytes_up"));
  const nlohmann::json exact = choice({"--bandwidth", "50kbit"}, "");
  CHECK((exact.at("codec") == "raw" || exact.at("codec") == "lossless"));
  CHECK(exact.at("disagreement_ppm") == 0);
}

TEST_CASE("--codec auto: plan shows a row for each codec, a trace replays, what-if changes it") {
  AutoBench bench;
  REQUIRE(bench.profile().exit_code == 0);
  const RunningServer server({bench.coded});
  const std::vector<std::string> slow{"--server", server.address(), "--bandwidth",
                                      "50kbit",   "--disagreement", "99%"};
  const AgentRun planned = bench.agent("plan", slow);
  REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
  std::set<std::string> codecs;
  for (const nlohmann::json& row : planned.records.at(0).at("splits")) {
    if (row.at("codec").is_string()) codecs.insert(row.at("codec"));
  }
  CHECK(codecs == std::set<std::string>{"raw", "lossless", "f16", "int8", "coded:0", "coded:1",
                                        "jpeg:75", "jpeg:90", "jpeg:95"});
  const std::string why = planned.records.at(0).at("why");
  CHECK(why.find(" as ") != std::string::npos);
  std::vector<std::string> traced = slow;
  const std::string trace = bench.bench.workshop.path("trace");
  traced.insert(traced.end(), {"--trace", trace, bench.bench.picture, bench.bench.picture});
  const AgentRun ran = bench.agent("run", traced);
  REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
  const AgentRun replay = run_agent({"plan", "--model", bench.coded, "--replay", trace, "--json"});
  REQUIRE_MESSAGE(replay.exit_code == 0, replay.err);
  CHECK(replay.records.at(0).at("decisions") == 2);
  CHECK(replay.records.at(0).at("different") == 0);
  std::vector<std::string> otherwise = slow;
  otherwise.insert(otherwise.end(), {"--what-if", "codec=raw,disagreement=none"});
  const AgentRun changed = bench.agent("plan", otherwise);
  REQUIRE_MESSAGE(changed.exit_code == 0, changed.err);
  CHECK(changed.records.at(0).at("choice").at("codec") == "raw");
  // The round trip is measured by each: the figures differ in their last digits.
  const std::string choice = why.substr(0, why.find(", "));
  const std::string without = changed.records.at(0).at("why_without_what_if");
  CHECK(without.substr(0, without.find(", ")) == choice);
}

TEST_CASE("--codec refuses what it cannot keep") {
  const CodecsBench bench;
  CHECK(bench.run({"--codec", "zip", "--split", "all"}).exit_code == 2);
  CHECK(bench.run({"--codec", "int8:1", "--split", "all"}).exit_code == 2);
  CHECK(bench.run({"--codec", "coded:x", "--split", "all"}).exit_code == 2);
  const AgentRun measured = bench.run({"--codec", "int8", "--disagreement", "1%"});
  CHECK(measured.exit_code == 2);
  CHECK(measured.err.find("--disagreement") != std::string::npos);
  const AgentRun fixed = bench.run({"--codec", "auto", "--split", "5"});
  CHECK(fixed.exit_code == 2);
  CHECK(fixed.err.find("chosen together with the split") != std::string::npos);
  const AgentRun plan = run_agent({"plan", "--model", bench.model, "--codec", "zip"});
  CHECK(plan.exit_code == 2);
}

}  // namespace cleave::test
