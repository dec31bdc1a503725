// SPDX-License-Identifier: Apache-2.0
#include "agent/event_log.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using nlohmann::json;

std::vector<json> log_lines_of(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
    REQUIRE_MESSAGE(lines.back().is_object(), line);
  }
  return lines;
}

}  // namespace

TEST_CASE("a line has time, level, event and the fields that say something") {
  const std::vector<LogField> fields{
      {"wire_id", LogId{7}}, {"request", LogId{0}}, {"retry_after_ms", 0}};
  CHECK(format_event("2026-01-31T09:00:00.123Z", LogLevel::kWarn, "busy", fields) ==
        R"({"time":"2026-01-31T09:00:00.123Z","level":"warn","event":"busy",)"
        R"("wire_id":"7","retry_after_ms":0})");
}

TEST_CASE("texts of peers end up as one line of JSON, cut and cleaned") {
  const std::string text = std::string(5'000, 'x') + "\"\n\xff";
  const std::vector<LogField> fields{{"why", text}, {"image", "a\n\"\xc3.jpg"}};
  const std::string line = format_event("t", LogLevel::kInfo, "e", fields);
  CHECK(line.find('\n') == std::string::npos);
  const json parsed = json::parse(line);
  CHECK(parsed.at("why").get<std::string>() == std::string(1'024, 'x'));
  CHECK(parsed.at("image").get<std::string>() == "a?\"?.jpg");
}

TEST_CASE("lines are appended, from the level on that was asked for") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "agent.log";
  for (int run = 0; run < 2; ++run) {
    const auto log = EventLog::open(path, "warn");
    REQUIRE_MESSAGE(log.is_ok(), log.status().message());
    log_event(log->get(), LogLevel::kInfo, "connected", {});
    log_event(log->get(), LogLevel::kWarn, "dropped", {{"image", "p.jpg"}});
    CHECK((*log)->status().is_ok());
  }
  log_event(nullptr, LogLevel::kError, "nobody is told", {});
  const auto lines = log_lines_of(path);
  REQUIRE(lines.size() == 2);
  for (const json& line : lines) {
    CHECK(line.at("event") == "dropped");
    CHECK(line.at("time").get<std::string>().size() == 24);
  }
}

TEST_CASE("a line that was cut off spoils no other") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "agent.log";
  constexpr rlim_t kRoomBytes = 300;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{kRoomBytes, before.rlim_max};
  const auto ignored = signal(SIGXFSZ, SIG_IGN);
  {
    const auto log = EventLog::open(path, "info");
    REQUIRE(log.is_ok());
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (int i = 0; i < 10; ++i) log_event(log->get(), LogLevel::kInfo, "full", {});
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK((*log)->status().code() == StatusCode::kIo);
    CHECK(std::filesystem::file_size(path) == kRoomBytes);
    log_event(log->get(), LogLevel::kInfo, "room again", {});
  }
  signal(SIGXFSZ, ignored);
  std::ofstream(path, std::ios::app) << R"({"time":"20)";  // a power cut
  {
    const auto log = EventLog::open(path, "info");
    REQUIRE(log.is_ok());
    log_event(log->get(), LogLevel::kInfo, "next run", {});
  }
  std::ifstream file(path);
  unsigned whole = 0, cut_off = 0;
  std::vector<std::string> events;
  for (std::string line; std::getline(file, line);) {
    const json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    ++(parsed.is_object() ? whole : cut_off);
    if (parsed.is_object()) events.push_back(parsed.at("event"));
  }
  CHECK(cut_off == 2);
  REQUIRE(whole >= 4);
  CHECK(events[whole - 3] == "full");
  CHECK(events[whole - 2] == "room again");
  CHECK(events[whole - 1] == "next run");
}

TEST_CASE("what cannot be opened or written is told, once, and ends nothing") {
  CHECK(EventLog::open("/nowhere/at/all", "info").status().code() == StatusCode::kNotFound);
  CHECK(EventLog::open("/dev/full", "loud").status().code() == StatusCode::kInvalidArgument);
  const auto log = EventLog::open("/dev/full", "debug");
  REQUIRE(log.is_ok());
  CHECK((*log)->status().is_ok());
  for (int i = 0; i < 2; ++i) log_event(log->get(), LogLevel::kDebug, "asking", {});
  CHECK((*log)->status().code() == StatusCode::kIo);
  CHECK((*log)->status().message().find("/dev/full") != std::string::npos);
}

}  // namespace cleave::agent
