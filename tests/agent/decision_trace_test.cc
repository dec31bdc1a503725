// SPDX-License-Identifier: Apache-2.0
#include "agent/decision_trace.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/agent/online_bench.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using namespace testing;

TraceStart start_of(const OnlineBench& bench, const OnlineOptions& options) {
  TraceStart start;
  start.codecs = bench.splits->codecs();
  start.model_identity = bench.model->identity();
  start.table = bench.edge_table();
  start.options = options;
  return start;
}

constexpr CodecChoice kJpeg90{.codec = fbs::Codec::JpegModelSize, .quality = 90};

struct RunShape {
  int pictures = 0;
  std::uint64_t most_pause_ns = 900 * kMillisecond;
  std::uint64_t deadline_ns = UINT64_MAX;
  std::uint64_t decode_ns = 0;  // of every codec on the server; 0: it does not say
  bool keeps_server = false;    // else now and then it is one that takes no codecs
};

// A run over a link whose rate wanders, with a server that is away now and then. Gives the distinct
// splits that it chose.
std::vector<bool> record_run(const OnlineBench& bench, const OnlineOptions& options,
                             const std::string& path, const RunShape& shape) {
  auto trace = DecisionTrace::create(path, start_of(bench, options));
  REQUIRE(trace.is_ok());
  OnlinePlanner planner(bench.splits.get(), options, &*trace);
  HandshakeSeen handshake = bench.handshake();
  if (shape.decode_ns > 0) {
    for (const CodecsAtCut& cut : bench.splits->codecs().cuts()) {
      handshake.decode_ns.insert(handshake.decode_ns.end(), cut.codecs.size(), shape.decode_ns);
    }
  }
  REQUIRE(planner.take_handshake(handshake).is_ok());
  std::mt19937_64 random(7);
  std::vector<bool> chosen(5);
  std::uint64_t now_ns = 1;
  for (int i = 0; i < shape.pictures; ++i) {
    now_ns += random() % shape.most_pause_ns;
    if (random() % 20 == 0) {
      planner.take_speed(
          {.clock_khz = 500'000 + static_cast<std::uint32_t>(random() % 1'000'000), .cores = 1});
    }
    Situation situation = reached_at(now_ns);
    situation.caps.deadline_ns = shape.deadline_ns;
    if (random() % 10 == 0) {
      situation.reached = false;
      situation.unreached_why = "no answer \"\xff\" from it";
    }
    const auto choice = planner.choose(situation);
    REQUIRE(choice.is_ok());
    chosen[choice->split.op_boundary] = true;
    if (!shape.keeps_server && random() % 30 == 0) {
      handshake.takes_codecs = !handshake.takes_codecs;
      REQUIRE(planner.take_handshake(handshake).is_ok());
    }
    Outcome outcome;
    outcome.codec = choice->codec;
    outcome.now_ns = now_ns;
    outcome.op_boundary = choice->split.op_boundary;
    outcome.file_bytes = 100'000;
    outcome.decoded = choice->split.op_boundary > 0;
    outcome.input_ns = kMillisecond + random() % kMillisecond;
    outcome.head_ns = choice->split.op_boundary * (9 * kMillisecond + random() % kMillisecond);
    if (choice->split.op_boundary < 4) {
      outcome.bytes_up = 50'000;
      outcome.link_ns = 400'000'000'000 / (1'000 << (i / 10 % 10));
      outcome.residence_ns = 9 * kMillisecond;
      outcome.compute_ns = 1 + random() % (8 * kMillisecond);
      outcome.sent_jpeg = choice->sends_file;
    }
    planner.observe(outcome);
  }
  REQUIRE(trace->finish().is_ok());
  return chosen;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  std::ofstream file(path, std::ios::binary);
  for (const std::string& line : lines) file << line << '\n';
}

}  // namespace

TEST_CASE("a trace gives the same decisions again, under every policy") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  for (const auto policy : {planner::Policy::kLmos, planner::Policy::kLatencyOnly,
                            planner::Policy::kRandom, planner::Policy::kServerOnly}) {
    const OnlineBench bench;
    OnlineOptions options = least_latency();
    options.request.policy = policy;
    const std::vector<bool> chosen = record_run(bench, options, path, {.pictures = 300});
    CHECK(std::ranges::count(chosen, true) > 1);
    const auto replay = replay_trace(path, *bench.model);
    REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
    CHECK(replay->decisions == 300);
    CHECK(replay->different == 0);
    CHECK(replay->first_difference.empty());
  }
}

TEST_CASE("a run that chose codecs with the split replays, and so does what version 2 had of one") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  std::vector<CodecsAtCut> cuts{{.op_boundary = 0,
                                 .codecs = {{.choice = kJpeg90,
                                             .bytes = 20'000,
                                             .p95_bytes = 30'000,
                                             .ram_bytes = 200'000,
                                             .encode_ns = kMillisecond}}}};
  for (const OpIndex cut : {1U, 2U, 3U}) {
    const std::uint64_t raw = 3'072 >> (2 * (cut - 1));
    cuts.push_back({.op_boundary = cut,
                    .codecs = {{.choice = {}, .bytes = raw},
                               {.choice = {.codec = fbs::Codec::Coded, .quality = 2},
                                .bytes = raw / 10,
                                .p95_bytes = raw / 8,
                                .ram_bytes = 1'000,
                                .encode_ns = kMillisecond,
                                .disagreement_ppm = 0},
                               {.choice = {.codec = fbs::Codec::Int8},
                                .bytes = raw / 4,
                                .disagreement_ppm = UINT32_MAX}}});
  }
  REQUIRE(bench.splits->use_codecs(CutCodecs(cuts)).is_ok());
  record_run(bench, least_latency(), path, {.pictures = 300, .decode_ns = kMillisecond});
  const std::vector<std::string> lines = lines_of(path);
  CHECK(lines[0].find("\"version\":4") != std::string::npos);
  CHECK(std::ranges::any_of(lines, [](const std::string& line) {
    return line.find("\"codec\":\"coded:2\"") != std::string::npos;
  }));
  CHECK(std::ranges::any_of(lines, [](const std::string& line) {
    return line.find("\"sends_file\":false,\"codec\":\"jpeg:90\"") != std::string::npos;
  }));
  auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 300);
  CHECK(replay->different == 0);
  // Codecs that are none, or of cuts that are none.
  for (const auto& [from, to] : {std::pair{"[1,\"raw\"", "[9,\"raw\""},
                                 {"[1,\"raw\"", "[0,\"raw\""},
                                 {"[1,\"raw\"", "[1,\"zip\""},
                                 {"[1,\"raw\",", "[1,\"raw\",-"},
                                 {"[1,\"raw\",", "[1,\"raw\",7,"},
                                 {"[2,\"raw\"", "[0,\"raw\""},
                                 {"\"coded:2\"", "\"coded:99\""},
                                 {"\"jpeg:90\"", "\"jpeg:101\""},
                                 {"\"jpeg:90\"", "\"jpeg:0\""},
                                 {"\"jpeg:90\"", "\"jpeg\""},
                                 {"[0,\"jpeg:90\"", "[1,\"jpeg:90\""}}) {
    std::vector<std::string> spoilt = lines;
    const std::size_t at = spoilt[0].find(from);
    REQUIRE(at != std::string::npos);
    spoilt[0].replace(at, std::string(from).size(), to);
    write_lines(path, spoilt);
    CHECK(replay_trace(path, *bench.model).status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("a trace of version 2, with its one codec, is replayed") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  const auto f16 = CutCodecs::of_one(*bench.model, 0, {.codec = fbs::Codec::F16});
  REQUIRE(f16.is_ok());
  REQUIRE(bench.splits->use_codecs(*f16).is_ok());
  record_run(bench, least_latency(), path, {.pictures = 100, .keeps_server = true});
  // What such a trace was like.
  std::vector<std::string> lines = lines_of(path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto json = nlohmann::ordered_json::parse(lines[i]);
    if (json["event"] == "handshake") json.erase("decode_ns");
    json.erase("takes_codecs");
    json.erase("codecs");
    json.erase("codec");
    if (json.contains("choice")) json["choice"].erase("codec");
    if (i == 0) {
      json["version"] = 2;
      json["codec"] = "f16";
    }
    lines[i] = json.dump();
  }
  write_lines(path, lines);
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 100);
  CHECK(replay->different == 0);
  lines[0].replace(lines[0].find("\"version\":2"), 11, "\"version\":1");
  write_lines(path, lines);
  CHECK(replay_trace(path, *bench.model).status().code() == StatusCode::kCorrupt);
}

TEST_CASE("what energy and its price are, a trace has too") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kLmos;
  options.request.objectives.optimized = planner::Objective::kCost;
  options.pick = FrontPick::kBest;
  options.energy = {.compute_uw = 5'000'000, .radio_pj_per_byte = 120'999, .idle_uw = 1'000};
  options.prices = {.server_ueur_per_hour = 1'000, .energy_ueur_per_kwh = 200'000};
  record_run(bench, options, path, {.pictures = 50});
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 50);
  CHECK(replay->different == 0);
  std::vector<std::string> lines = lines_of(path);
  CHECK(lines[0].find("\"radio_pj_per_byte\":120999,") != std::string::npos);
  const std::string price = "\"energy_ueur_per_kwh\":200000,";
  const std::size_t at = lines[0].find(price);
  REQUIRE(at != std::string::npos);
  // Free of charge the device would do everything.
  lines[0].replace(at, price.size(), "\"energy_ueur_per_kwh\":0,");
  write_lines(path, lines);
  const auto unpaid = replay_trace(path, *bench.model);
  REQUIRE(unpaid.is_ok());
  CHECK(unpaid->different > 0);
}

TEST_CASE("a trace with pauses and a deadline that is not always kept gives the same decisions") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kLmos;
  record_run(
      bench, options, path,
      {.pictures = 300, .most_pause_ns = 100'000 * kMillisecond, .deadline_ns = 40 * kMillisecond});
  std::size_t missed = 0;
  for (const std::string& line : lines_of(path)) {
    missed += line.find("\"bounds_missed\":\"deadline\"") == std::string::npos ? 0 : 1;
  }
  CHECK(missed > 0);
  CHECK(missed < 300);
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 300);
  CHECK(replay->different == 0);
}

TEST_CASE("the golden trace of version 2 gives the decisions that it holds") {
  const OnlineBench bench;
  const auto replay = replay_trace("tests/golden/decision_trace_v2.jsonl", *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 40);
  CHECK_MESSAGE(replay->different == 0, replay->first_difference);
}

TEST_CASE("the golden trace of version 3 gives the decisions that it holds") {
  const OnlineBench bench;
  const auto replay = replay_trace("tests/golden/decision_trace_v3.jsonl", *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 40);
  CHECK_MESSAGE(replay->different == 0, replay->first_difference);
}

// The format and the decisions of version 4. After a change that is meant to give other decisions,
// or other bytes of the bench's model, CLEAVE_ACCEPT_TRACE=1 ctest -R agent_decision_trace writes
// it anew; a change of the format has a new version and a new file.
TEST_CASE("the golden trace of version 4 gives the decisions that it holds") {
  const char* golden = "tests/golden/decision_trace_v4.jsonl";
  const OnlineBench bench;
  const CutCodecs codecs({{.op_boundary = 0,
                           .codecs = {{.choice = kJpeg90,
                                       .bytes = 20'000,
                                       .p95_bytes = 30'000,
                                       .ram_bytes = 200'000,
                                       .encode_ns = kMillisecond / 2}}},
                          {.op_boundary = 1,
                           .codecs = {{.choice = {}, .bytes = 3'072},
                                      {.choice = {.codec = fbs::Codec::Coded, .quality = 1},
                                       .bytes = 300,
                                       .p95_bytes = 400,
                                       .ram_bytes = 4'000,
                                       .encode_ns = kMillisecond / 20}}}});
  REQUIRE(bench.splits->use_codecs(codecs).is_ok());
  OnlineOptions options = least_latency();
  options.request.policy = planner::Policy::kLmos;
  options.request.objectives.optimized = planner::Objective::kEnergy;
  options.energy = {.compute_uw = 3'000'000, .radio_pj_per_byte = 500'000, .idle_uw = 1'000'000};
  const RunShape shape{.pictures = 40,
                       .most_pause_ns = 60'000 * kMillisecond,
                       .deadline_ns = 40 * kMillisecond,
                       .decode_ns = kMillisecond / 20};
  const test::TemporaryFolder folder;
  const bool write = std::getenv("CLEAVE_ACCEPT_TRACE") != nullptr;
  const std::string now = folder / "trace";
  record_run(bench, options, write ? golden : now, shape);
  const auto replay = replay_trace(golden, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 40);
  CHECK_MESSAGE(replay->different == 0, replay->first_difference);
  // What is written now has the same fields in the same order.
  CHECK(lines_of(write ? golden : now) == lines_of(golden));
}

TEST_CASE("what the process holds besides saturates: it is never taken for little") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  record_run(bench, least_latency(), path, {.pictures = 5});
  std::vector<std::string> lines = lines_of(path);
  const auto replace = [](std::string& line, const std::string& from, const std::string& to) {
    const std::size_t at = line.find(from);
    REQUIRE(at != std::string::npos);
    line.replace(at, from.size(), to);
  };
  const std::string most = std::to_string(UINT64_MAX);
  replace(lines[0], "\"overhead_bytes\":0", "\"overhead_bytes\":" + most);
  replace(lines[2], "\"ram_bytes\":" + most, "\"ram_bytes\":1000000000");
  write_lines(path, lines);
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->different > 0);
  CHECK(replay->first_difference.find("line 3: ") == 0);
  CHECK(replay->first_difference.find("RAM") != std::string::npos);
}

TEST_CASE("the largest number in any place is planned with, or refused") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  record_run(bench, least_latency(), path, {.pictures = 5});
  const std::vector<std::string> good = lines_of(path);
  std::size_t tried = 0;
  for (std::size_t n = 0; n < good.size(); ++n) {
    for (std::size_t at = 0; (at = good[n].find("\":", at)) != std::string::npos; ++at) {
      const std::size_t begin = at + 2;
      const std::size_t end = good[n].find_first_not_of("0123456789", begin);
      if (end == begin) continue;
      std::vector<std::string> lines = good;
      lines[n].replace(begin, end - begin, std::to_string(UINT64_MAX));
      write_lines(path, lines);
      const auto replay = replay_trace(path, *bench.model);
      const bool fine = replay.is_ok() || replay.status().code() == StatusCode::kCorrupt;
      CHECK_MESSAGE(fine, lines[n]);
      ++tried;
    }
  }
  CHECK(tried > 100);
}

TEST_CASE("a server whose table is refused leaves a trace that replays") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  auto trace = DecisionTrace::create(path, start_of(bench, least_latency()));
  REQUIRE(trace.is_ok());
  OnlinePlanner planner(bench.splits.get(), least_latency(), &*trace);
  HandshakeSeen wrong = bench.handshake();
  wrong.op_ns.push_back(kMillisecond);
  CHECK(planner.take_handshake(wrong).code() == StatusCode::kMismatch);
  Situation situation = reached_at(1);
  situation.reached = false;
  REQUIRE(planner.choose(situation).is_ok());
  REQUIRE(trace->finish().is_ok());
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE_MESSAGE(replay.is_ok(), replay.status().message());
  CHECK(replay->decisions == 1);
  CHECK(replay->different == 0);
}

TEST_CASE("a decision that would be another one now is shown") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  record_run(bench, least_latency(), path, {.pictures = 20});
  std::vector<std::string> lines = lines_of(path);
  // The device of the trace was ten times as fast: the choices that follow differ.
  const std::string table = "\"op_ns\":[10000000,10000000,10000000,10000000]";
  const std::size_t at = lines[0].find(table);
  REQUIRE(at != std::string::npos);
  lines[0].replace(at, table.size(), "\"op_ns\":[1000000,1000000,1000000,1000000]");
  write_lines(path, lines);
  const auto replay = replay_trace(path, *bench.model);
  REQUIRE(replay.is_ok());
  CHECK(replay->decisions == 20);
  CHECK(replay->different > 0);
  CHECK(replay->first_difference.find("line 3: was {") == 0);
}

TEST_CASE("what is no trace, or a damaged one, is refused with its line") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  CHECK(replay_trace(path, *bench.model).status().code() == StatusCode::kNotFound);
  record_run(bench, least_latency(), path, {.pictures = 5});
  const std::vector<std::string> good = lines_of(path);
  const auto status_of = [&](std::size_t line, const std::string& text) {
    std::vector<std::string> lines = good;
    lines[line - 1] = text;
    write_lines(path, lines);
    return replay_trace(path, *bench.model).status();
  };
  const std::string wrong[] = {
      "", "null", "[]", "{", "{\"event\":7}", "{\"event\":\"start\"}",
      "{\"event\":\"outcome\",\"op\":5}",
      "{\"event\":\"handshake\",\"rtt_ns\":-1,\"input_ns\":0,\"op_ns\":[]}",
      "{\"event\":\"handshake\",\"rtt_ns\":1,\"input_ns\":0,\"op_ns\":[1]}",
      "{\"event\":\"handshake\",\"rtt_ns\":1,\"input_ns\":0,\"op_ns\":{}}",
      "{\"event\":\"choice\",\"now_ns\":1e99}", "\xff\xfe", std::string(200'000, '['),
      // Deeper than a stack: what is parsed is copied, compared and freed.
      R"({"event":"outcome","more":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
      R"({"event":"outcome","more":[[[[[[[[[1]]]]]]]]]})",
      std::string(kMaxTraceLineBytes + 1, ' ')};
  for (const std::string& text : wrong) {
    CAPTURE(text.substr(0, 80));
    const Status status = status_of(3, text);
    CHECK(status.code() == StatusCode::kCorrupt);
    CHECK(status.message().find("line 3 ") != std::string::npos);
    CHECK(status_of(1, text).code() == StatusCode::kCorrupt);
  }
  for (const auto& [from, to] : {std::pair{"\"factor\":[11,10]", "\"factor\":[11]"},
                                 {"\"prefer\":\"speed\"", "\"prefer\":\"\""}}) {
    std::string line = good[0];
    const std::size_t at = line.find(from);
    REQUIRE(at != std::string::npos);
    line.replace(at, std::string(from).size(), to);
    CHECK(status_of(1, line).code() == StatusCode::kCorrupt);
  }
  // A number that is too large for its field, and one that is no number.
  for (const char* field : {"\"min_split\":0", "\"has_server\":true", "\"file_bytes\":100000"}) {
    std::string line = good[2];
    const std::size_t at = line.find(field);
    REQUIRE(at != std::string::npos);
    line.replace(
        at, std::string(field).size(),
        std::string(field).substr(0, std::string(field).find(':')) + ":99999999999999999999");
    CHECK(status_of(3, line).code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("another model's trace is refused") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trace";
  const OnlineBench bench;
  record_run(bench, least_latency(), path, {.pictures = 1});
  test::ModelBuilder builder({8, 8, 3});
  builder.fully_connected(builder.input(), 3);
  const auto other = ModelFile::from_bytes(builder.build());
  REQUIRE(other.is_ok());
  CHECK(replay_trace(path, **other).status().code() == StatusCode::kMismatch);
}

TEST_CASE("a trace that cannot be written is an error, not a trace") {
  const OnlineBench bench;
  CHECK(DecisionTrace::create("/nowhere/trace", start_of(bench, least_latency())).status().code() ==
        StatusCode::kIo);
  auto full = DecisionTrace::create("/dev/full", start_of(bench, least_latency()));
  CHECK(full.status().code() == StatusCode::kIo);
}

}  // namespace cleave::agent
