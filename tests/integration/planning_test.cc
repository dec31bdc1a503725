// SPDX-License-Identifier: Apache-2.0
//
// `profile`, `plan` and `run --split auto` together: the plan follows link and caps.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "engine/image/jpeg_encoder.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

struct PlanningBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::string picture = workshop.jpeg("picture.jpg", 1);

  [[nodiscard]] nlohmann::json plan(std::vector<std::string> options) const {
    options.insert(options.begin(), {"plan", "--model", model, "--json"});
    const AgentRun run = run_agent(options);
    REQUIRE_MESSAGE(run.records.size() == 1, run.err);
    return run.records[0];
  }
};

}  // namespace

TEST_CASE("a profile is measured, kept and used") {
  const PlanningBench bench;
  const AgentRun profiled = run_agent({"profile", "--model", bench.model, "--runs", "3", "--json"});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json& variant = profiled.records.at(0).at("variants").at(0);
  CHECK(variant.at("layers").size() == 21);
  std::uint64_t sum = 0;
  for (const auto& ns : variant.at("op_median_ns")) {
    CHECK(ns > 0);
    sum += ns.get<std::uint64_t>();
  }
  const nlohmann::json plan = bench.plan({});
  const nlohmann::json& whole = plan.at("splits").back();
  const std::uint64_t input_ns = profiled.records.at(0).at("input_ns");
  CHECK(whole.at("edge_ns") == sum + input_ns);
  const AgentRun used = run_agent({"plan", "--model", bench.model, "--json"});
  CHECK(used.err.empty());
  // Another number of threads is another machine.
  const AgentRun other = run_agent({"plan", "--model", bench.model, "--threads", "2", "--json"});
  CHECK(other.err.find("no profile") != std::string::npos);
  CHECK(other.err.find("was measured with 1 threads") != std::string::npos);
}

TEST_CASE("a profile that is ended while it tries codecs keeps the times") {
  const PlanningBench bench;
  const std::string output = bench.workshop.path("ended.profile");
  std::vector<std::string> command{agent_program(),    "profile", "--model",  bench.model,
                                   "--runs",           "1",       "--output", output,
                                   "--codec-pictures", "1000"};
  // A minute's work for the codecs, and next to nothing before them.
  command.insert(command.end(), 1000, bench.workshop.jpeg("again.jpg", 1));
  BackgroundProgram profiling(command);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!std::filesystem::exists(output) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  profiling.signal(SIGINT);
  REQUIRE(profiling.wait() == 128 + SIGINT);
  const AgentRun plan = run_agent({"plan", "--model", bench.model, "--profile", output, "--json"});
  REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
  CHECK(plan.err.empty());
  CHECK(plan.records.at(0).at("edge_times").at("source") == "profile");
}

TEST_CASE("without a profile the times are multiply-adds / (cores x clock), and the plan says so") {
  const PlanningBench bench;
  const std::vector<std::string> clock{"--clock", "1GHz", "--cores", "1"};
  const nlohmann::json plan = bench.plan(clock);
  CHECK(plan.at("edge_times").at("source") == "computed");
  CHECK(plan.at("edge_times").at("scale_ppm") == 1'000'000);
  // One a nanosecond.
  const nlohmann::json inspected = inspect(bench.model);
  const auto& cuts = inspected.at("variants").at(0).at("cuts");
  for (const nlohmann::json& row : plan.at("splits")) {
    const std::size_t op = row.at("op");
    CHECK(row.at("edge_ns") == cuts.at(op).at("head_multiply_adds"));
  }
  const Finished text = run_program(
      {agent_program(), "plan", "--model", bench.model, "--clock", "1GHz", "--cores", "1"});
  CHECK(text.exit_code == 0);
  const std::string sentence =
      "the device's times are computed, not measured: multiply-adds / (1 core x 1000 MHz, given)";
  CHECK(text.out.find(sentence) != std::string::npos);
  const AgentRun run = run_agent(
      {"run", "--model", bench.model, "--clock", "1GHz", "--cores", "1", "--json", bench.picture});
  CHECK(run.exit_code == 0);
  CHECK(run.err.find(sentence) != std::string::npos);
  const AgentRun measured = run_agent({"plan", "--model", bench.model, "--measure", "--json"});
  CHECK(measured.records.at(0).at("edge_times").at("source") == "measured now");
  CHECK(measured.err.find("measuring this device") != std::string::npos);
}

TEST_CASE(
    "a profile keeps its clock, its threads and its pictures; a plan at half the clock doubles") {
  const PlanningBench bench;
  const AgentRun profiled = run_agent({"profile", "--model", bench.model, "--runs", "2", "--clock",
                                       "1GHz", "--thread-counts", "2,1", "--json", bench.picture});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json& table = profiled.records.at(0);
  CHECK(table.at("clock_khz") == 1'000'000);
  CHECK(table.at("sample_pictures") == 1);
  REQUIRE(table.at("variants").size() == 2);
  CHECK(table.at("variants").at(0).at("threads") == 1);
  CHECK(table.at("variants").at(1).at("threads") == 2);
  const nlohmann::json& coded = table.at("coded");
  const auto jpeg = std::ranges::find_if(
      coded, [](const nlohmann::json& each) { return each.value("sent", "") == "jpeg"; });
  REQUIRE(jpeg != coded.end());
  CHECK(jpeg->at("median_bytes").at(0) == std::filesystem::file_size(bench.picture));
  // The profile's pictures stand in where none is named.
  const nlohmann::json file = bench.plan({}).at("baselines").at(1);
  CHECK(file.at("name") == "file");
  CHECK(file.at("bytes_source") == "profile");
  CHECK(file.at("bytes_up") == std::filesystem::file_size(bench.picture));
  const nlohmann::json same = bench.plan({"--clock", "1GHz"});
  const nlohmann::json half = bench.plan({"--clock", "500MHz"});
  CHECK(same.at("edge_times").at("source") == "profile");
  CHECK(half.at("edge_times").at("scale_ppm") == 2'000'000);
  REQUIRE(same.at("splits").size() == half.at("splits").size());
  for (std::size_t i = 0; i < same.at("splits").size(); ++i) {
    const std::uint64_t edge_ns = same.at("splits").at(i).at("edge_ns");
    CHECK(half.at("splits").at(i).at("edge_ns") == 2 * edge_ns);
  }
  CHECK(bench.plan({"--threads", "2"}).at("edge_times").at("source") == "profile");
  const Finished text =
      run_program({agent_program(), "plan", "--model", bench.model, "--clock", "500MHz"});
  CHECK(text.out.find("edge times are 2.000 times the table's, which is of a clock of 1000 MHz; it "
                      "is 500 MHz now") != std::string::npos);
}

// AlexNet: its last three convolutions are what the preference is about.
TEST_CASE(
    "--prefer memory: plans, runs and servers take less, and a profile holds for one of them") {
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--classes", "10"});
  const std::string picture = workshop.jpeg("a.jpg", 3);
  REQUIRE(run_agent({"profile", "--model", model, "--runs", "1", "--json"}).exit_code == 0);
  const auto plan = [&](const std::string& prefer) {
    const AgentRun run =
        run_agent({"plan", "--model", model, "--no-cache", "--prefer", prefer, "--json"});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    const std::string other = "was measured with --prefer speed; profile again";
    CHECK((run.err.find(other) != std::string::npos) == (prefer == "memory"));
    CHECK(run.records.at(0).at("prefer") == prefer);
    return run.records.at(0).at("splits");
  };
  const nlohmann::json speed = plan("speed"), memory = plan("memory");
  REQUIRE(speed.size() == memory.size());
  const auto whole = [](const nlohmann::json& splits) {
    return splits.back().at("memory_bytes").get<std::uint64_t>();
  };
  // 2.1 M values of 3x3 kernels, 1.8 times as many for Winograd on pictures of 13x13.
  CHECK(whole(memory) + 6'000'000 < whole(speed));
  const nlohmann::json inspected = inspect(model, {"--prefer", "memory"});
  const auto& cuts = inspected.at("variants").at(0).at("cuts");
  CHECK(cuts.back().at("head_memory_bytes") == whole(memory));

  // The same in a configuration file; head and tail with different preferences agree closely.
  const std::string config =
      workshop.file("agent.conf", "[run]\nmodel=\"" + model + "\"\nprefer=\"memory\"\n");
  const RunningServer fast({model}, {"--no-cache"});
  const RunningServer small({model}, {"--no-cache", "--prefer", "memory"});
  const auto scores = [&](const RunningServer& server, const std::vector<std::string>& options) {
    std::vector<std::string> command{"--config", config, "run",        "--server", server.address(),
                                     "--split",  "8",    "--no-cache", "--json",   "--scores"};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(picture);
    const AgentRun run = run_agent(command);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    return run.records.at(0).at("scores").get<std::vector<double>>();
  };
  const auto all_small = scores(small, {});
  const auto all_fast = scores(fast, {"--prefer", "speed"});
  const auto mixed = scores(fast, {});
  CHECK(all_small != all_fast);
  for (std::size_t i = 0; i < all_small.size(); ++i) {
    CHECK(all_small[i] == doctest::Approx(all_fast[i]).epsilon(1e-3));
    CHECK(mixed[i] == doctest::Approx(all_fast[i]).epsilon(1e-3));
  }
  const AgentRun doctor = run_agent({"doctor", "--model", model, "--prefer", "memory", "--json"});
  CHECK(doctor.records.at(0).at("prefer") == "memory");
  CHECK(doctor.records.at(0).at("profile").at("found") == false);
}

TEST_CASE("the plan follows the link") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  const nlohmann::json slow =
      bench.plan({"--server", server.address(), "--bandwidth", "10kbit", "--policy", "loa"});
  CHECK(slow.at("choice").at("split") == 21);
  const nlohmann::json fast = bench.plan({"--server", server.address(), "--bandwidth", "10gbit",
                                          "--rtt", "1us", "--policy", "loa", bench.picture});
  // Device and server are the same machine here, so either may win by a hair; the least must.
  std::uint64_t least = UINT64_MAX;
  for (const nlohmann::json& row : fast.at("splits")) {
    least = std::min(least, row.at("total_ns").get<std::uint64_t>());
    if (row.at("split") != 21) CHECK(row.at("tx_ns") < slow.at("splits")[0].at("tx_ns"));
  }
  CHECK(fast.at("choice").at("total_ns") == least);
  CHECK(fast.at("splits").size() == slow.at("splits").size() + 1);  // and the picture's file
  for (const nlohmann::json& row : slow.at("splits")) {
    const std::uint64_t bytes = row.at("bytes_up");
    if (row.at("split") == 21) continue;
    const std::uint64_t rtt = slow.at("link").at("rtt_ns");
    CHECK(row.at("tx_ns") == rtt + bytes * 800'000);  // 10 kbit/s: 0.8 ms a byte
  }
}

TEST_CASE("the front is Pareto, and LMOS stays within its budget") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  const nlohmann::json plan = bench.plan(
      {"--server", server.address(), "--bandwidth", "20mbit", "--latency-factor", "1.5"});
  const nlohmann::json& front = plan.at("front");
  REQUIRE_FALSE(front.empty());
  for (std::size_t i = 1; i < front.size(); ++i) {
    CHECK(front[i - 1].at("latency_ns") < front[i].at("latency_ns"));
    CHECK(front[i - 1].at("memory_bytes") < front[i].at("memory_bytes"));
  }
  const double best = plan.at("ideal").at("latency_ns");
  CHECK(plan.at("choice").at("total_ns").get<double>() <= best * 1.5 + 1);
}

TEST_CASE("a RAM cap limits the depth, and policies choose as named") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  const nlohmann::json free = bench.plan({"--server", server.address(), "--bandwidth", "1mbit"});
  const std::uint64_t cap = free.at("splits").at(10).at("ram_bytes");
  const nlohmann::json capped = bench.plan({"--server", server.address(), "--bandwidth", "1mbit",
                                            "--ram", std::to_string(cap + 1'000'000)});
  CHECK(capped.at("splits").back().at("feasible") == false);
  CHECK(capped.at("splits").back().at("broken") == "RAM");
  CHECK(capped.at("choice").at("ram_bytes").get<std::uint64_t>() <= cap + 1'000'000);
  CHECK(bench.plan({"--server", server.address(), "--policy", "eco"}).at("choice").at("split") ==
        21);
  CHECK(bench.plan({"--server", server.address(), "--policy", "sco"}).at("choice").at("split") ==
        0);
  CHECK(bench
            .plan({"--server", server.address(), "--min-split", "7", "--policy", "loa",
                   "--bandwidth", "10gbit"})
            .at("choice")
            .at("split") >= 7);
}

TEST_CASE("run --split auto answers under every policy, with the scores of the whole network") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  const AgentRun whole = run_agent(
      {"run", "--model", bench.model, "--split", "all", "--json", "--scores", bench.picture});
  for (const char* policy : {"lmos", "loa", "eco", "sco", "rs"}) {
    CAPTURE(policy);
    const AgentRun run =
        run_agent({"run", "--model", bench.model, "--server", server.address(), "--policy", policy,
                   "--json", "--scores", bench.picture, bench.picture});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    REQUIRE(run.records.size() == 2);
    for (const nlohmann::json& record : run.records) {
      CHECK(record.at("scores") == whole.records.at(0).at("scores"));
      CHECK_FALSE(record.contains("fallback"));
      if (std::string(policy) == "sco") CHECK(record.at("split") == 0);
      if (std::string(policy) == "eco") CHECK(record.at("split") == 21);
    }
  }
}

TEST_CASE("the plan shows what the choice has to beat") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  const nlohmann::json measured =
      bench.plan({"--server", server.address(), "--bandwidth", "10mbit", bench.picture});
  REQUIRE(measured.at("baselines").size() == 4);
  std::map<std::string, nlohmann::json> by_name;
  for (const nlohmann::json& row : measured.at("baselines")) {
    by_name[row.at("name")] = row;
    CHECK(row.at("total_ns").get<std::uint64_t>() == row.at("edge_ns").get<std::uint64_t>() +
                                                         row.at("tx_ns").get<std::uint64_t>() +
                                                         row.at("server_ns").get<std::uint64_t>());
    CHECK(row.contains("choice_is_faster"));
    CHECK(row.contains("break_even_bps"));
  }
  CHECK(by_name.at("edge_only").at("total_ns") == measured.at("splits").back().at("total_ns"));
  CHECK(by_name.at("pixels_u8").at("total_ns") == measured.at("splits")[0].at("total_ns"));
  CHECK(measured.at("splits")[0].at("sent") == "pixels_u8");
  CHECK(by_name.at("file").at("total_ns") == measured.at("splits")[1].at("total_ns"));
  CHECK(measured.at("splits")[1].at("sent") == "jpeg");
  CHECK(measured.at("splits")[1].at("split") == 0);
  CHECK(measured.at("splits")[2].at("sent") == "tensors");
  CHECK(measured.at("splits").back().at("sent").is_null());
  CHECK(by_name.at("jpeg_q90").at("bytes_source") == "measured");
  CHECK(by_name.at("jpeg_q90").at("bytes_up") < by_name.at("file").at("bytes_up"));
  CHECK(by_name.at("pixels_u8").at("bytes_up") == 96 * 96 * 3);
  const nlohmann::json estimated = bench.plan({"--server", server.address()});
  REQUIRE(estimated.at("baselines").size() == 3);
  CHECK(estimated.at("baselines")[1].at("name") == "jpeg_q90");
  CHECK(estimated.at("baselines")[1].at("bytes_source") == "estimated");
  CHECK(estimated.at("splits")[0].at("sent") == "pixels_u8");
  const Finished text = run_program({agent_program(), "plan", "--model", bench.model});
  CHECK(text.out.find("JPEG at model size, quality 90") != std::string::npos);
  CHECK(text.out.find("estimate") != std::string::npos);
}

TEST_CASE("a file over the server's limit goes as pixels, with the same scores") {
  const PlanningBench bench;
  const RunningServer server({bench.model}, {"--max-picture", "1"});
  std::vector<std::uint8_t> noise(1400 * 1000 * 3);
  std::uint32_t state = 1;
  for (std::uint8_t& value : noise) {
    state = state * 1664525 + 1013904223;
    value = static_cast<std::uint8_t>(state >> 24);
  }
  const auto jpeg = encode_jpeg(noise, 1400, 1000, 95);
  REQUIRE(jpeg.is_ok());
  REQUIRE(jpeg->size() > 1 << 20);
  const std::string large =
      bench.workshop.file("large.jpg", {reinterpret_cast<const char*>(jpeg->data()), jpeg->size()});
  const AgentRun whole =
      run_agent({"run", "--model", bench.model, "--split", "all", "--json", "--scores", large});
  const AgentRun sent = run_agent({"run", "--model", bench.model, "--server", server.address(),
                                   "--split", "0", "--json", "--scores", large, bench.picture});
  REQUIRE_MESSAGE(sent.exit_code == 0, sent.err);
  CHECK_FALSE(sent.records.at(0).contains("fallback"));
  CHECK(sent.records.at(0).at("sent") == "pixels_u8");
  CHECK(sent.records.at(0).at("bytes_up") == 96 * 96 * 3);
  CHECK(sent.records.at(0).at("scores") == whole.records.at(0).at("scores"));
  CHECK(sent.records.at(1).at("sent") == "jpeg");
}

TEST_CASE("without its server every policy is answered by the device, and says so") {
  const PlanningBench bench;
  for (const char* policy : {"lmos", "sco"}) {
    CAPTURE(policy);
    const AgentRun run = run_agent({"run", "--model", bench.model, "--server", "127.0.0.1:1",
                                    "--policy", policy, "--json", bench.picture});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    CHECK(run.records.at(0).at("split") == 21);
    CHECK(run.records.at(0).contains("fallback"));
  }
}

TEST_CASE("the uplink limit holds") {
  const PlanningBench bench;
  const RunningServer server({bench.model});
  // Never faster; and as fast as it may, where the machine did not stand still.
  bool as_fast = false;
  for (int attempt = 0; attempt < 3 && !as_fast; ++attempt) {
    const AgentRun run =
        run_agent({"run", "--model", bench.model, "--server", server.address(), "--split", "1",
                   "--uplink-limit", "20mbit", "--json", bench.picture, bench.picture});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    for (const nlohmann::json& record : run.records) {
      const double ideal_ns = record.at("bytes_up").get<double>() * 8e9 / 20e6;
      CHECK(record.at("tx_ns").get<double>() >= ideal_ns);
      as_fast = as_fast || record.at("tx_ns").get<double>() < 1.5 * ideal_ns + 50e6;
    }
  }
  CHECK(as_fast);
}

}  // namespace cleave::test
