// SPDX-License-Identifier: Apache-2.0
//
// `plan` explains itself: objectives, what-if, dominated splits, bands of bandwidth, a picture of
// it; and a run can be decided again from its trace.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "schemas/exit_code.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

const std::vector<std::string> kBoard{"--power-active", "5W",   "--power-idle", "2W",
                                      "--radio-energy", "120nJ"};
const std::vector<std::string> kPrices{"--price-server", "0.0104", "--price-egress", "0.09"};

using Options = std::vector<std::string>;

struct ExplainingBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::string picture = workshop.jpeg("picture.jpg", 1);
  RunningServer server{{model}};

  [[nodiscard]] AgentRun run_plan(const Options& options) const {
    return run_agent(Options{"plan", "--model", model, "--server", server.address(), "--json"} +
                     options);
  }
  [[nodiscard]] nlohmann::json plan(const Options& options) const {
    const AgentRun run = run_plan(options);
    REQUIRE_MESSAGE(run.records.size() == 1, run.err);
    return run.records[0];
  }
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("energy and cost are columns and objectives once the user gives what they are made of") {
  const ExplainingBench bench;
  const nlohmann::json bare = bench.plan({"--bandwidth", "10mbit"});
  CHECK(bare.at("splits")[0].at("energy_uj").is_null());
  CHECK(bare.at("splits")[0].at("cost_ueur").is_null());
  const nlohmann::json plan =
      bench.plan(Options{"--bandwidth", "10mbit", "--objective", "cost", "--rank", "least"} +
                 kBoard + kPrices);
  const nlohmann::json& choice = plan.at("choice");
  for (const nlohmann::json& row : plan.at("splits")) {
    CHECK(row.at("energy_uj").get<std::uint64_t>() > 0);
    CHECK(choice.at("cost_ueur") <= row.at("cost_ueur"));
    // Egress alone: 0.09 EUR for 1e9 bytes, of a million pictures.
    const double egress_ueur = row.at("bytes_up").get<double>() * 0.09 * 1e6 / 1e3;
    CHECK(row.at("cost_ueur").get<double>() >= egress_ueur);
  }
  CHECK(choice.at("split") == 21);  // nothing sent, nothing paid
  CHECK(choice.at("cost_ueur") == 0);
  CHECK(plan.at("why").get<std::string>().find("is the cheapest of all") != std::string::npos);
  // By hand: 5 W while the device computes, 2 W while it waits, 120 nJ a byte.
  for (const nlohmann::json& row : plan.at("splits")) {
    const double edge_ns = row.at("edge_ns"), total_ns = row.at("total_ns");
    const double uj =
        edge_ns * 5e-3 + (total_ns - edge_ns) * 2e-3 + row.at("bytes_up").get<double>() * 0.12;
    CHECK(row.at("energy_uj").get<double>() == doctest::Approx(uj).epsilon(1e-3));
  }
  CHECK(plan.at("ideal").at("cost_ueur") == 0);
  CHECK(plan.at("nadir").at("latency_ns") >= plan.at("ideal").at("latency_ns"));
  CHECK_FALSE(plan.at("ideal").contains("memory_bytes"));
  const AgentRun refused = bench.run_plan({"--objective", "energy"});
  CHECK(refused.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(refused.err.find("--power-active") != std::string::npos);
}

TEST_CASE(
    "an instance's month and a kWh: device-only pictures cost their energy, to the micro-euro") {
  const ExplainingBench bench;
  const Options prices{"--price-instance", "7.527", "--cpu-budget", "95%",
                       "--price-energy",   "0.20"};
  const Options cheapest{"--bandwidth", "10mbit", "--objective", "cost", "--rank", "least"};
  const nlohmann::json plan = bench.plan(cheapest + kBoard + prices);
  CHECK(plan.at("prices").at("server_ueur_per_hour") == 10'854);  // 7.527 / (730 h x 0.95)
  CHECK(plan.at("prices").at("energy_ueur_per_kwh") == 200'000);
  const double requests = 1e6, uj_per_kwh = 3.6e12, ns_per_hour = 3.6e12;
  for (const nlohmann::json& row : plan.at("splits")) {
    const double server = row.at("server_ns").get<double>() * requests / ns_per_hour * 10'854;
    const double energy = row.at("energy_uj").get<double>() * requests / uj_per_kwh * 200'000;
    CHECK(std::abs(row.at("cost_ueur").get<double>() - server - energy) <= 2.01);
    CHECK(plan.at("choice").at("cost_ueur") <= row.at("cost_ueur"));
  }
  CHECK(plan.at("splits").back().at("server_ns") == 0);
  CHECK(plan.at("splits").back().at("cost_ueur").get<std::uint64_t>() > 0);
  const AgentRun both = bench.run_plan(prices + kBoard + kPrices);
  CHECK(both.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(both.err.find("--price-server") != std::string::npos);
  const AgentRun no_board = bench.run_plan(prices);
  CHECK(no_board.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(no_board.err.find("--power-active") != std::string::npos);
}

TEST_CASE("--disagreement: the precisions of a file in one plan, and the run takes the plan's") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--input", "96", "--width", "0.35", "--f16", "--int8"});
  std::vector<std::string> pictures;
  for (int i = 0; i < 4; ++i) {
    pictures.push_back(workshop.jpeg("p" + std::to_string(i) + ".jpg", i + 1));
  }
  const AgentRun profiled =
      run_agent(Options{"profile", "--model", model, "--runs", "2", "--json"} + pictures);
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json& tables = profiled.records.at(0).at("variants");
  REQUIRE(tables.size() == 3);
  CHECK(tables[0].at("compared_pictures") == 0);
  CHECK(tables[1].at("compared_pictures") == 4);
  CHECK(tables[2].at("compared_pictures") == 4);
  const auto plan = [&](const Options& options) {
    const AgentRun run = run_agent(Options{"plan", "--model", model, "--json"} + options);
    REQUIRE_MESSAGE(run.records.size() == 1, run.err);
    return run.records[0];
  };
  const std::size_t splits = plan({}).at("splits").size();
  CHECK(plan({}).at("choice").at("variant") == "f32");
  const nlohmann::json joint = plan({"--disagreement", "100%", "--policy", "loa"});
  REQUIRE(joint.at("splits").size() == 3 * splits);
  std::uint64_t least_ns = UINT64_MAX;
  for (const nlohmann::json& row : joint.at("splits")) {
    if (row.at("feasible") == true) {
      least_ns = std::min(least_ns, row.at("total_ns").get<std::uint64_t>());
    }
  }
  CHECK(joint.at("choice").at("total_ns") == least_ns);
  // 4 pictures: at best 1 in 5 cannot be ruled out.
  const nlohmann::json strict = plan({"--disagreement", "19%", "--policy", "loa"});
  CHECK(strict.at("choice").at("variant") == "f32");
  const nlohmann::json& row = strict.at("splits").back();
  CHECK(row.at("broken").get<std::string>().find("disagreement") != std::string::npos);
  CHECK(row.at("disagreement_ppm").get<std::uint32_t>() >= 200'000);
  // The answers of a run are those of the precision that is planned.
  const auto scores = [&](const Options& options) {
    const AgentRun run =
        run_agent(Options{"run", "--model", model, "--json", "--scores"} + options + pictures);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    return run.records.at(0).at("scores");
  };
  const std::string chosen = joint.at("choice").at("variant");
  CHECK(scores({"--disagreement", "100%", "--policy", "loa"}) == scores({"--variant", chosen}));
  // One that is named is not held to the bound, and its share is told.
  const nlohmann::json named = plan({"--variant", "int8"});
  CHECK(named.at("bounds").at("disagreement_ppm").is_null());
  CHECK(named.at("choice").at("disagreement_ppm").get<std::uint32_t>() >= 200'000);
  // With auto the bound is on what codecs add, whether a plan or only its what-if says so.
  const nlohmann::json with_auto = plan({"--variant", "int8", "--what-if", "codec=auto"});
  REQUIRE(with_auto.at("choice").is_object());
  CHECK(with_auto.at("bounds").at("disagreement_ppm") == 0);
  CHECK(with_auto.at("choice").at("disagreement_ppm") == 0);
  const nlohmann::json with_raw =
      plan({"--variant", "int8", "--codec", "auto", "--what-if", "codec=raw"});
  CHECK(with_raw.at("choice").at("disagreement_ppm") == named.at("choice").at("disagreement_ppm"));
  CHECK(plan({"--disagreement", "0%"}).at("choice").at("variant") == "f32");
  const nlohmann::json asked = plan({"--policy", "loa", "--what-if", "disagreement=100%"});
  CHECK(asked.at("choice").at("variant") == chosen);
  CHECK(asked.at("choice").at("total_ns") == least_ns);
}

TEST_CASE(
    "--disagreement where something is wrong: a picture, the bounds, the options, the times") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--input", "96", "--width", "0.35", "--int8"});
  std::vector<std::string> pictures;
  for (int i = 0; i < 4; ++i) {
    pictures.push_back(workshop.jpeg("p" + std::to_string(i) + ".jpg", i + 1));
  }
  const Options chooses{"--model", model, "--json", "--disagreement", "100%", "--policy", "loa"};
  // Times of one precision are no reason to be silent about the others.
  const AgentRun computed = run_agent(Options{"plan"} + chooses);
  REQUIRE(computed.records.size() == 1);
  CHECK(computed.records[0].at("variants_note").get<std::string>().find("int8") == 0);
  const AgentRun profiled =
      run_agent(Options{"profile", "--model", model, "--runs", "2", "--json"} + pictures);
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const AgentRun planned = run_agent(Options{"plan"} + chooses);
  REQUIRE(planned.records.size() == 1);
  const std::string chosen = planned.records[0].at("choice").at("variant");
  // A picture that cannot be read costs its own answer, no other's.
  const std::string broken = workshop.file("broken.jpg", "\xff\xd8\xff");
  const AgentRun partly = run_agent(Options{"run"} + chooses + Options{broken} + pictures);
  CHECK(partly.exit_code == static_cast<int>(ExitCode::kPartial));
  REQUIRE(partly.records.size() == 5);
  CHECK(partly.records[0].contains("error"));
  CHECK(partly.records[1].at("variant") == chosen);
  // Nothing within the bounds: what comes next in line is of the faster precision as well.
  const AgentRun late =
      run_agent(Options{"run"} + chooses + Options{"--deadline", "1us"} + pictures);
  REQUIRE_MESSAGE(late.exit_code == 0, late.err);
  CHECK(late.records.at(0).at("variant") == chosen);
  CHECK(late.records.at(0).at("bounds_missed") == "deadline");
  const Options clashes[] = {{"plan", "--variant", "int8"},
                             {"run", "--variant", "int8", pictures[0]},
                             {"run", "--split", "3", pictures[0]}};
  for (const Options& clash : clashes) {
    CHECK(run_agent(clash + Options{"--model", model, "--disagreement", "2%"}).exit_code ==
          static_cast<int>(ExitCode::kUsage));
  }
}

TEST_CASE("a deadline, and what is worse than what") {
  const ExplainingBench bench;
  const nlohmann::json plan = bench.plan({"--bandwidth", "2mbit", "--deadline", "100ms"});
  int dominated = 0, late = 0;
  for (const nlohmann::json& row : plan.at("splits")) {
    const bool is_late = row.at("total_ns").get<std::uint64_t>() > 100'000'000;
    CHECK((row.at("broken").get<std::string>().find("deadline") != std::string::npos) == is_late);
    late += is_late ? 1 : 0;
    if (row.at("dominated_by").is_null()) continue;
    ++dominated;
    const nlohmann::json& by = plan.at("splits")[row.at("dominated_by").get<std::size_t>()];
    CHECK(by.at("on_front") == true);
    CHECK(by.at("total_ns") <= row.at("total_ns"));
    CHECK(by.at("memory_bytes") >= row.at("memory_bytes"));
  }
  CHECK(late > 0);
  CHECK(dominated > 0);
  CHECK(plan.at("bounds").at("deadline_ns") == 100'000'000);
  CHECK(plan.at("bounds").at("latency_budget_ns").get<std::uint64_t>() >=
        plan.at("ideal").at("latency_ns").get<std::uint64_t>());
}

TEST_CASE("--what-if plans with other values, and says what is chosen without") {
  const ExplainingBench bench;
  const nlohmann::json now = bench.plan({"--bandwidth", "100kbit"});
  const nlohmann::json other =
      bench.plan({"--bandwidth", "100kbit", "--what-if", "bandwidth=1gbit,rank=literal,ram=64MiB"});
  CHECK(other.at("link").at("bandwidth_bps") == 1'000'000'000);
  CHECK(other.at("caps").at("ram").at("bytes") == 64 << 20);
  CHECK(other.at("why_without_what_if") == now.at("why"));
  CHECK_FALSE(now.contains("why_without_what_if"));
  // Not asked or measured again: only what was changed differs.
  const nlohmann::json same = bench.plan({"--bandwidth", "100kbit", "--what-if", "policy=lmos"});
  CHECK(same.at("why_without_what_if") == same.at("why"));
  const nlohmann::json alone = bench.plan({"--what-if", "server=none"});
  CHECK(alone.at("link").at("server") == false);
  CHECK(alone.at("choice").at("split") == 21);
  const AgentRun unknown = bench.run_plan({"--what-if", "colour=red"});
  CHECK(unknown.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(unknown.err.find("no 'colour'; there are bandwidth, rtt, ") != std::string::npos);
  const AgentRun bad_value = bench.run_plan({"--what-if", "ram=lots"});
  CHECK(bad_value.exit_code == static_cast<int>(ExitCode::kUsage));
}

TEST_CASE("bands: at a rate within each, its way is the fastest that plan shows") {
  const ExplainingBench bench;
  const Options at{"--rtt", "5ms", bench.picture};
  const nlohmann::json plan = bench.plan(Options{"--bandwidth", "1mbit"} + at);
  const nlohmann::json& bands = plan.at("fastest_by_bandwidth");
  REQUIRE(bands.size() > 1);
  CHECK(bands[0].at("from_bps") == 0);
  CHECK(bands[0].at("way") == "device only");
  // The server's times are of another handshake: near a boundary they decide, a tenth beside not.
  const auto fixed_ns = [&](const nlohmann::json& row) {
    return row.at("total_ns").get<double>() - row.at("bytes_up").get<double>() * 8e9 / 1e6;
  };
  for (std::size_t i = 1; i < bands.size(); ++i) {
    const double bps = bands[i].at("from_bps").get<double>();
    CHECK(bands[i - 1].at("from_bps").get<double>() < bps);
    double least_ns = 1e18;
    for (const nlohmann::json& row : plan.at("splits")) {
      least_ns = std::min(least_ns, fixed_ns(row) + row.at("bytes_up").get<double>() * 8e9 / bps);
    }
    for (const nlohmann::json& row : plan.at("baselines")) {
      if (row.at("name") == "jpeg_q90") continue;  // shown to compare with, sent by no run
      least_ns = std::min(least_ns, fixed_ns(row) + row.at("bytes_up").get<double>() * 8e9 / bps);
    }
    // Where two bands meet both are the fastest.
    const auto time_of = [&](const std::string& way) {
      const bool is_split = way.starts_with("split ");
      for (const nlohmann::json& row : plan.at("splits")) {
        if (is_split && row.at("split") == std::stoi(way.substr(6))) {
          return fixed_ns(row) + row.at("bytes_up").get<double>() * 8e9 / bps;
        }
      }
      const std::string name = way == "device only"                  ? "edge_only"
                               : way.find("u8") != std::string::npos ? "pixels_u8"
                                                                     : "file";
      for (const nlohmann::json& row : plan.at("baselines")) {
        if (row.at("name") == name) {
          return fixed_ns(row) + row.at("bytes_up").get<double>() * 8e9 / bps;
        }
      }
      return 0.0;
    };
    for (const std::size_t side : {i - 1, i}) {
      CAPTURE(bands[side].at("way").get<std::string>());
      CHECK(time_of(bands[side].at("way")) == doctest::Approx(least_ns).epsilon(1e-3));
    }
  }
  const Options program{agent_program(), "plan",     "--model",
                        bench.model,     "--server", bench.server.address()};
  const Finished text = run_program(program + Options{"--bandwidth", "1mbit"} + at);
  CHECK(text.out.find("Fastest, by uplink: device only below ") != std::string::npos);
  const Finished alone = run_program({agent_program(), "plan", "--model", bench.model});
  CHECK(alone.out.find("Fastest, by uplink") == std::string::npos);
}

TEST_CASE("bands hold at every rate, and only what is allowed is in them") {
  const ExplainingBench bench;
  const auto bands = [&](const Options& options) {
    return bench.plan(Options{"--rtt", "5ms", bench.picture} + options).at("fastest_by_bandwidth");
  };
  const auto ways = [](const nlohmann::json& bands) {
    std::vector<std::string> names;
    for (const nlohmann::json& band : bands) names.push_back(band.at("way"));
    return names;
  };
  // A deadline that most splits miss at this rate, and keep at others.
  CHECK(ways(bands({"--bandwidth", "100kbit", "--deadline", "50ms"})) ==
        ways(bands({"--bandwidth", "100mbit"})));
  for (const std::string& way : ways(bands({"--min-split", "4", "--bandwidth", "1mbit"}))) {
    CAPTURE(way);
    CHECK((way == "device only" || way.starts_with("split ")));
  }
}

TEST_CASE("--plot writes the plan as a picture, or says why not") {
  const ExplainingBench bench;
  const std::string path = bench.workshop.path("plan.svg");
  const nlohmann::json plan = bench.plan({"--bandwidth", "10mbit", "--plot", path});
  const std::string svg = text_of(path);
  CHECK(svg.starts_with("<svg"));
  CHECK(svg.find("</svg>") != std::string::npos);
  CHECK(svg.find("Latency of every split") != std::string::npos);
  CHECK(svg.find("layers on the device") != std::string::npos);
  const AgentRun nowhere = bench.run_plan({"--plot", bench.workshop.path("none/plan.svg")});
  CHECK(nowhere.exit_code == static_cast<int>(ExitCode::kIo));
  CHECK(nowhere.records.size() == 1);  // the plan itself was printed
}

TEST_CASE("a run's trace gives the same decisions again; a changed one has its own exit code") {
  const ExplainingBench bench;
  const std::string path = bench.workshop.path("trace");
  const AgentRun run =
      run_agent({"run", "--model", bench.model, "--server", bench.server.address(), "--json",
                 "--trace", path, bench.picture, bench.picture, bench.picture});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const auto replay = [&] {
    return run_agent({"plan", "--model", bench.model, "--replay", path, "--json"});
  };
  const AgentRun same = replay();
  REQUIRE_MESSAGE(same.exit_code == 0, same.err);
  CHECK(same.records.at(0).at("decisions") == 3);
  CHECK(same.records.at(0).at("different") == 0);
  std::string text = text_of(path);
  // As if another split had been chosen first.
  const std::string choice = "\"choice\":{\"split\":";
  const std::size_t at = text.find(choice);
  REQUIRE(at != std::string::npos);
  text.insert(at + choice.size(), "1");
  std::ofstream(path, std::ios::binary) << text;
  const AgentRun changed = replay();
  CHECK(changed.exit_code == static_cast<int>(ExitCode::kReplayDiffers));
  CHECK(changed.records.at(0).at("different") == 1);
}

TEST_CASE("--replay: what does not go with it, and traces that cannot be used, are refused") {
  const ExplainingBench bench;
  const std::string path = bench.workshop.path("trace");
  std::ofstream(path, std::ios::binary) << "{}\n";
  const auto replay = [&](const std::vector<std::string>& others) {
    std::vector<std::string> args{"plan", "--model", bench.model, "--replay", path};
    args.insert(args.end(), others.begin(), others.end());
    return run_agent(args);
  };
  const std::string plot = bench.workshop.path("plan.svg");
  for (const std::vector<std::string>& others :
       {std::vector<std::string>{"--what-if", "ram=64MiB"}, {"--plot", plot}, {"--measure"}}) {
    const AgentRun refused = replay(others);
    CHECK(refused.exit_code == static_cast<int>(ExitCode::kUsage));
    CHECK(refused.err.find(others[0]) != std::string::npos);
  }
  const AgentRun damaged = replay({});
  CHECK(damaged.exit_code == static_cast<int>(ExitCode::kBadInput));
  CHECK(damaged.err.find("no decision trace") != std::string::npos);
  std::ofstream(path, std::ios::binary) << R"({"event":"start","version":2,"model":"00"})"
                                        << "\n";
  const AgentRun of_another = replay({});
  CHECK(of_another.exit_code == static_cast<int>(ExitCode::kBadInput));
  CHECK(of_another.err.find("another model") != std::string::npos);
}

TEST_CASE("a fixed split has no decisions to trace") {
  const ExplainingBench bench;
  const std::string path = bench.workshop.path("trace");
  const AgentRun run =
      run_agent({"run", "--model", bench.model, "--split", "all", "--trace", path, bench.picture});
  CHECK(run.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(run.err.find("planned runs") != std::string::npos);
  CHECK(text_of(path).empty());
}

TEST_CASE("a deadline that no split keeps: plan says so, run answers with the fastest") {
  const ExplainingBench bench;
  const AgentRun plan = bench.run_plan({"--deadline", "1ns"});
  CHECK(plan.exit_code == static_cast<int>(ExitCode::kCapTooSmall));
  const AgentRun run = run_agent({"run", "--model", bench.model, "--server", bench.server.address(),
                                  "--json", "--deadline", "1ns", bench.picture});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.records.at(0).at("bounds_missed") == "deadline");
  CHECK(run.records.at(0).contains("top"));
}

}  // namespace cleave::test
