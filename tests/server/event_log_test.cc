// SPDX-License-Identifier: Apache-2.0
#include "server/event_log.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace cleave::test {
namespace {

using namespace server;

std::string text_line(const std::vector<LogField>& fields, std::uint64_t suppressed = 0) {
  return format_event(LogFormat::kText, "T", LogLevel::kInfo, "busy", fields, suppressed);
}

TEST_CASE("a line of key=value, with what says nothing left out") {
  CHECK(
      text_line({{"session", 7}, {"device", "gate-2"}, {"request", LogId{12}}, {"why", "queue"}}) ==
      "time=T level=info event=busy session=7 device=gate-2 request=12 why=queue");
  CHECK(text_line({{"session", 0}, {"device", ""}, {"request", LogId{0}}, {"queue_ns", 0}}) ==
        "time=T level=info event=busy queue_ns=0");
  CHECK(text_line({}, 31) == "time=T level=info event=busy suppressed=31");
}

TEST_CASE("a peer's text cannot break the line, nor look like a field") {
  CHECK(text_line({{"device", "a b"}}) == "time=T level=info event=busy device=\"a b\"");
  CHECK(text_line({{"device", "x\" level=error"}}) ==
        "time=T level=info event=busy device=\"x\\\" level=error\"");
  CHECK(text_line({{"device", "a\n\x1b[31m\\"}}) ==
        "time=T level=info event=busy device=\"a??[31m\\\\\"");
  CHECK(text_line({{"device", "a=b"}}) == "time=T level=info event=busy device=\"a=b\"");
}

TEST_CASE("the same as JSON") {
  const std::vector<LogField> fields{
      {"session", 7}, {"device", "x\"\n\xff"}, {"request", LogId{UINT64_MAX}}, {"why", ""}};
  const std::string line =
      format_event(LogFormat::kJson, "T", LogLevel::kWarn, "refused", fields, 2);
  CHECK(line.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(line);
  CHECK(json.at("time") == "T");
  CHECK(json.at("level") == "warn");
  CHECK(json.at("event") == "refused");
  CHECK(json.at("session") == 7);
  CHECK(json.at("device") == "x\"??");
  CHECK(json.at("request") == "18446744073709551615");
  CHECK(json.at("suppressed") == 2);
  CHECK_FALSE(json.contains("why"));
}

TEST_CASE("of one event so many lines a second pass, and what did not is said by the next") {
  LogThrottle throttle;
  const LogThrottle::Time start{std::chrono::seconds(100)};
  for (std::uint32_t i = 0; i < LogThrottle::kLinesPerSecond; ++i) {
    const auto verdict = throttle.ask("flood", start);
    CHECK(verdict.pass);
    CHECK(verdict.suppressed == 0);
  }
  for (int i = 0; i < 500; ++i) CHECK_FALSE(throttle.ask("flood", start).pass);
  CHECK(throttle.ask("other", start).pass);
  const auto next = throttle.ask("flood", start + std::chrono::seconds(1));
  CHECK(next.pass);
  CHECK(next.suppressed == 500);
  CHECK(throttle.ask("flood", start + std::chrono::seconds(1)).suppressed == 0);
}

TEST_CASE("every counter has a name of its own") {
  std::set<std::string_view> names;
  for (const ServerCounter& counter : kServerCounters) CHECK(names.insert(counter.name).second);
}

}  // namespace
}  // namespace cleave::test
