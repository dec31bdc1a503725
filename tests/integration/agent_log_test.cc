// SPDX-License-Identifier: Apache-2.0
//
// What an operator can tell of a run from the agent's log alone: what became of each picture, why,
// and how often what went wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/spool_station.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// A run behind a relay that is given one picture after the other.
class LoggedRun {
 public:
  LoggedRun() {
    auto words = station.words(relay.address(),
                               {"--log", log_path_, "--log-level", "debug", "--stats", "-"});
    words.insert(words.begin(), agent_program());
    agent_ =
        std::make_unique<BackgroundProgram>(words, Environment{}, err_path_, StandardInput::kPipe);
  }

  // Gives the name; the picture's record.
  json give(const std::string& picture) {
    begin(picture);
    return hear();
  }
  void begin(const std::string& picture) {
    REQUIRE_MESSAGE(agent_->write_line(picture), read_whole(err_path_));
  }
  json hear() {
    json record = json::parse(agent_->read_line(), nullptr, false);
    REQUIRE_MESSAGE(record.is_object(), read_whole(err_path_));
    records.push_back(record);
    return record;
  }
  // SIGTERM; what is then in the log and on standard error.
  int stop() {
    agent_->signal(SIGTERM);
    const int ended = agent_->wait();
    std::ifstream file(log_path_);
    for (std::string line; std::getline(file, line);) {
      log.push_back(json::parse(line, nullptr, false));
      REQUIRE_MESSAGE(log.back().is_object(), line);
    }
    REQUIRE_FALSE(log.empty());
    stats = stats_of(read_whole(err_path_));
    return ended;
  }

  [[nodiscard]] std::size_t count(const std::string& event) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(log, [&](const json& line) { return line.at("event") == event; }));
  }
  // The events of that name about a picture.
  [[nodiscard]] std::vector<json> events(const std::string& event,
                                         const std::string& picture) const {
    std::vector<json> found;
    std::ranges::copy_if(log, std::back_inserter(found), [&](const json& line) {
      return line.at("event") == event && line.value("image", "") == picture;
    });
    return found;
  }

  const Station station;
  RunningServer server{{station.model}};
  TcpRelay relay{server.port()};
  std::vector<json> records, log;
  json stats;

 private:
  const std::string log_path_ = station.workshop.path("agent.jsonl");
  const std::string err_path_ = station.workshop.path("agent.err");
  std::unique_ptr<BackgroundProgram> agent_;
};

// How the log says that each picture ended, as the results say it: by name, "answered" or
// "dropped", and the reason of that.
using Ends = std::map<std::string, std::pair<std::string, std::string>>;

Ends ends_by_log(const LoggedRun& run) {
  Ends ends;
  for (const json& line : run.log) {
    const std::string event = line.at("event");
    const bool is_answered = event == "answered" || event == "drained";
    if (!is_answered && event != "dropped") continue;
    const std::string image = line.at("image");
    CHECK_MESSAGE(!ends.contains(image), "ended twice: " << line.dump());
    ends[image] = {is_answered ? "answered" : "dropped", line.value("reason", "")};
  }
  return ends;
}

Ends ends_by_results(const LoggedRun& run) {
  Ends ends;
  for (const auto& [image, record] : run.station.ended()) {
    ends[image] = {record.at("state").get<std::string>(), record.value("reason", "")};
  }
  return ends;
}

// Each line about a picture has the id that the records and the results have of it.
void check_ids(const LoggedRun& run) {
  std::map<std::string, std::string> ids;
  for (const auto& [image, record] : run.station.ended()) ids[image] = record.at("request");
  for (const json& record : run.records) {
    const std::string image = record.at("image");
    if (ids.contains(image)) CHECK(record.at("request") == ids.at(image));
  }
  std::size_t lines = 0;
  for (const json& line : run.log) {
    if (!line.contains("image") || !ids.contains(line.at("image"))) continue;
    CAPTURE(line.dump());
    CHECK(line.at("request") == ids.at(line.at("image")));
    ++lines;
  }
  CHECK(lines >= 2 * ids.size());  // that it was asked, or spooled, and how it ended
}

// The last line has the counters of --stats, and each is as many as the lines that it counts.
void check_counters(const LoggedRun& run) {
  const json& counters = run.log.back();
  CHECK(counters.at("event") == "counters");
  for (const auto& [name, value] : run.stats.items()) {
    const std::string counter = name;
    if (counter != "event") CHECK_MESSAGE(counters.at(counter) == value, counter);
  }
  for (const auto& [event, counter] :
       std::vector<std::pair<std::string, std::string>>{{"connected", "connections"},
                                                        {"connect_failed", "connect_failures"},
                                                        {"disconnected", "connections_lost"},
                                                        {"answer", "answers"},
                                                        {"broken_off", "broken_off"},
                                                        {"retried", "retries"},
                                                        {"unreadable", "unreadable"}}) {
    const std::string named = counter;
    CAPTURE(named);
    CHECK(counters.at(named) == run.count(event));
  }
  std::map<std::string, std::size_t> dropped;
  for (const json& line : run.log) {
    if (line.at("event") == "dropped") ++dropped[line.at("reason")];
  }
  for (const auto& [name, value] : counters.items()) {
    const std::string counter = name;
    if (counter.starts_with("dropped_")) CHECK(value == dropped[counter.substr(8)]);
  }
  const auto ended = run.station.ended();
  const auto answered = std::ranges::count_if(
      ended, [](const auto& record) { return record.second.at("state") == "answered"; });
  CHECK(counters.at("accepted") == ended.size());
  CHECK(counters.at("answered") == answered);
  CHECK(counters.at("waiting") == 0);
}

}  // namespace

TEST_CASE("the log alone tells of an outage, and what became of each picture") {
  LoggedRun run;
  const auto& pictures = run.station.pictures;
  CHECK(run.give(pictures[0]).contains("top"));

  // The link breaks in the middle of a request, which is sent again.
  run.relay.hold_after(1'000);
  run.begin(pictures[1]);
  for (int i = 0; i < 1'000 && !run.relay.is_holding(); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  REQUIRE(run.relay.is_holding());
  run.relay.close_connections();
  run.relay.release();
  CHECK(run.hear().contains("top"));

  // An outage, and two files that are no pictures.
  run.relay.refuse(true);
  run.relay.close_connections();
  const std::string damaged =
      run.station.workshop.file("damaged.jpg", "\xff\xd8\xff\xe0 no picture");
  const std::string missing = run.station.workshop.path("missing.jpg");
  CHECK(run.give(pictures[2]).at("spooled") == true);
  CHECK(run.give(damaged).at("dropped") == "refused");
  CHECK(run.give(missing).contains("error"));

  // It is over: a connection is not tried at once.
  run.relay.refuse(false);
  std::vector<std::string> waiting{pictures[2]};
  for (unsigned i = 0; i < 60; ++i) {
    const std::string picture = run.station.workshop.jpeg("after" + std::to_string(i) + ".jpg", i);
    if (!run.give(picture).value("spooled", false)) break;
    waiting.push_back(picture);
    std::this_thread::sleep_for(milliseconds(300));
  }
  for (const std::string& picture : waiting) {
    const json drained = run.hear();
    CHECK(drained.at("image") == picture);
    CHECK(drained.at("drained") == true);
  }
  CHECK(run.stop() == code(ExitCode::kPartial));  // some had to wait

  CHECK(run.log.front().at("event") == "started");
  CHECK(run.count("stopping") == 1);
  CHECK(run.count("connect_failed") >= 1);
  CHECK(run.count("disconnected") >= 2);
  const Ends ends = ends_by_log(run);
  CHECK(ends == ends_by_results(run));
  CHECK(ends.at(damaged).second == "refused");

  // Of the one whose connection broke: under the id that it had. (One that is begun before the
  // agent has heard of the outage breaks, too, later.)
  REQUIRE(run.count("broken_off") >= 1);
  const auto broken = std::ranges::find(run.log, json("broken_off"),
                                        [](const json& line) { return line.at("event"); });
  REQUIRE(run.events("retried", pictures[1]).size() == 1);
  CHECK(run.events("retried", pictures[1])[0].at("wire_id") == broken->at("wire_id"));
  CHECK(run.events("retried", pictures[1])[0].at("why").get<std::string>().size() > 0);
  CHECK(run.events("answered", pictures[1]).size() == 1);
  for (const std::string& picture : waiting) {
    CAPTURE(picture);
    REQUIRE(run.events("spooled", picture).size() == 1);
    CHECK(run.events("spooled", picture)[0].at("level") == "info");
    CHECK(run.events("spooled", picture)[0].contains("spooled_as"));
    CHECK(run.events("spooled", picture)[0].at("why").get<std::string>().size() > 0);
    CHECK(run.events("drained", picture).size() == 1);
  }
  // Not accepted: it has no id, and no end.
  REQUIRE(run.events("unreadable", missing).size() == 1);
  CHECK_FALSE(run.events("unreadable", missing)[0].contains("request"));
  CHECK(run.count("unreadable") == 1);
  check_ids(run);
  check_counters(run);
}

namespace {

// The only `recovered` of a run that finds no server.
json recovered_event(const Station& station, const std::string& log,
                     const std::vector<std::string>& pictures) {
  const AgentRun run = run_agent(station.words("127.0.0.1:1", {"--log", log, "--stats"}, pictures));
  std::vector<json> found;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    const json event = json::parse(line, nullptr, false);
    REQUIRE_MESSAGE(event.is_object(), line);
    if (event.at("event") == "recovered") found.push_back(event);
  }
  REQUIRE(found.size() == 1);
  const json stats = stats_of(run.err);
  for (const auto& [name, value] : found[0].items()) {
    if (value.is_number()) CHECK(stats.at(name) == value);
  }
  return found[0];
}

// In the middle, which is in the bytes of a picture.
void spoil_spool(const Station& station) {
  for (const auto& entry : std::filesystem::directory_iterator(station.spool)) {
    if (entry.path().extension() != ".spool") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    file.write("power cut", 9);
    REQUIRE(file.good());
  }
}

}  // namespace

TEST_CASE("what a power cut cost is in the log and in the counters of the next run") {
  const Station station;
  const json first =
      recovered_event(station, station.workshop.path("first.log"), {station.pictures[0]});
  CHECK(first.at("level") == "info");
  for (const auto& [name, value] : first.items()) CHECK((!value.is_number() || value == 0));

  spoil_spool(station);
  constexpr std::string_view kHalfALine = R"({"request":"00)";
  std::ofstream(station.results, std::ios::app) << kHalfALine;
  const json next = recovered_event(station, station.workshop.path("next.log"), {});
  CHECK(next.at("level") == "warn");
  CHECK(next.at("recovered") == 1);
  CHECK(next.at("spool_damaged_bytes") > 0);
  CHECK(next.at("results_cut_bytes") == kHalfALine.size());
  CHECK(next.at("results_damaged_lines") == 0);
}

}  // namespace cleave::test
