// SPDX-License-Identifier: Apache-2.0
//
// A device with a result log and a spool, for the tests of what becomes of its pictures.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/support/programs.h"

namespace cleave::test {

// A device too small for the whole network, so that it depends on its server.
class Station {
 public:
  Station() {
    const AgentRun plan = run_agent({"plan", "--model", model, "--no-cache", "--json"});
    REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
    for (const auto& row : plan.records.at(0).at("splits")) {
      if (row.at("split") == 4) cap = row.at("ram_bytes").get<std::uint64_t>() + 3'000'000;
      whole = row.at("ram_bytes");
    }
    REQUIRE(cap < whole);
    for (unsigned i = 0; i < 6; ++i) {
      pictures.push_back(workshop.jpeg("p" + std::to_string(i) + ".jpg", i));
    }
  }

  [[nodiscard]] std::vector<std::string> words(const std::string& server,
                                               std::vector<std::string> more = {},
                                               const std::vector<std::string>& images = {}) const {
    std::vector<std::string> words{
        "run",   "--model",           model,     "--no-cache", "--server",  server,  "--split", "4",
        "--ram", std::to_string(cap), "--spool", spool,        "--results", results, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), images.begin(), images.end());
    return words;
  }

  // The terminal records, by picture. There must be at most one of each id.
  [[nodiscard]] std::map<std::string, nlohmann::json> ended() const {
    std::map<std::string, nlohmann::json> by_name;
    std::map<std::string, int> ids;
    std::ifstream file(results);
    for (std::string line; std::getline(file, line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      REQUIRE_MESSAGE(json.is_object(), line);
      if (json.at("state") == "log") continue;  // the first line
      const std::string id = json.at("request");
      CAPTURE(line);
      CHECK(++ids[id] == 1);
      CHECK((json.at("state") == "answered" || json.at("state") == "dropped"));
      by_name[json.value("image", std::string("?"))] = json;
    }
    return by_name;
  }

  // How many there are, of pictures that may be named more than once.
  [[nodiscard]] std::size_t ended_count() const {
    std::ifstream file(results);
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count == 0 ? 0 : count - 1;  // the first begins the log
  }

  // Of many more bytes than what crosses the cut.
  [[nodiscard]] std::vector<std::string> large_pictures() const {
    std::vector<std::string> large;
    for (unsigned i = 0; i < 5; ++i) {
      large.push_back(
          workshop.jpeg("large" + std::to_string(i) + ".jpg", i, {.width = 1600, .height = 1200}));
      REQUIRE(std::filesystem::file_size(large.back()) > 270'000);
    }
    return large;
  }

  [[nodiscard]] std::uint64_t spool_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(spool)) sum += entry.file_size();
    return sum;
  }

  void check_all_answered() const {
    const auto records = ended();
    CHECK(records.size() == pictures.size());
    for (const std::string& picture : pictures) {
      CAPTURE(picture);
      REQUIRE(records.contains(picture));
      CHECK(records.at(picture).at("state") == "answered");
    }
  }

  const Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::string spool = workshop.path("spool");
  std::string results = workshop.path("results.jsonl");
  std::vector<std::string> pictures;
  std::uint64_t cap = 0, whole = 0;
};

}  // namespace cleave::test
