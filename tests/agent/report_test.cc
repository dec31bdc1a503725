// SPDX-License-Identifier: Apache-2.0
#include "agent/report.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "schemas/model_reader.h"
#include "tests/support/sample_models.h"

namespace cleave::agent {
namespace {

std::shared_ptr<const ModelFile> labelled_model() {
  auto model = ModelFile::from_bytes(test::all_ops_model().build());
  REQUIRE(model.is_ok());
  REQUIRE((*model)->header().labels() != nullptr);
  return *model;
}

Record answered() {
  Record record;
  record.image = "photo \"1\".jpg";
  record.split = 3;
  record.scores = {0.1F, 0.7F, 0.1F, 0.05F, 0.05F};
  record.bytes_up = 4096;
  record.edge_ns = 1;
  record.encode_ns = 2;
  record.tx_ns = 3;
  record.server_ns = 4;
  record.rx_ns = 5;
  record.total_ns = 15;
  return record;
}

}  // namespace

TEST_CASE("the greatest scores first, equal ones by index") {
  const auto model = labelled_model();
  const auto ranked = rank_scores(answered().scores, model->header(), 3);
  REQUIRE(ranked.size() == 3);
  CHECK(ranked[0].index == 1);
  CHECK(ranked[1].index == 0);
  CHECK(ranked[2].index == 2);
  CHECK(ranked[0].label == model->header().labels()->Get(1)->str());
  CHECK(rank_scores(answered().scores, model->header(), 100).size() == 5);
}

TEST_CASE("a JSON line has every documented field, and scores that read back to the same bits") {
  const auto model = labelled_model();
  const Record record = answered();
  const auto json =
      nlohmann::json::parse(record_json(record, model->header(), {.json = true, .scores = true}));
  CHECK(json.at("image") == record.image);
  CHECK(json.at("split") == 3);
  CHECK(json.at("top").size() == 5);
  for (const char* field : {"index", "label", "score"}) CHECK(json.at("top")[0].contains(field));
  CHECK(json.at("edge_ns") == 1);
  CHECK(json.at("encode_ns") == 2);
  CHECK(json.at("tx_ns") == 3);
  CHECK(json.at("server_ns") == 4);
  CHECK(json.at("rx_ns") == 5);
  CHECK(json.at("total_ns") == 15);
  CHECK(json.at("bytes_up") == 4096);
  const auto scores = json.at("scores").get<std::vector<float>>();
  CHECK(std::memcmp(scores.data(), record.scores.data(), 5 * sizeof(float)) == 0);
  CHECK_FALSE(json.contains("fallback"));
  CHECK_FALSE(nlohmann::json::parse(record_json(record, model->header(), {})).contains("scores"));
}

TEST_CASE("a picture without an answer says why, in JSON and for people") {
  const auto model = labelled_model();
  Record record;
  record.image = "x.jpg";
  record.status = {StatusCode::kCorrupt, "x.jpg: cut short"};
  const auto json = nlohmann::json::parse(record_json(record, model->header(), {}));
  CHECK(json.at("error") == "x.jpg: cut short");
  CHECK(json.at("error_code") == "corrupt");
  CHECK(record_text(record, model->header(), {}).find("cut short") != std::string::npos);
}

TEST_CASE("bounds that were expected to be broken are named, and only then") {
  const auto model = labelled_model();
  Record record = answered();
  CHECK_FALSE(
      nlohmann::json::parse(record_json(record, model->header(), {})).contains("bounds_missed"));
  CHECK(record_text(record, model->header(), {}).find("break") == std::string::npos);
  record.bounds_missed = "deadline, energy budget";
  CHECK(nlohmann::json::parse(record_json(record, model->header(), {})).at("bounds_missed") ==
        record.bounds_missed);
  CHECK(record_text(record, model->header(), {}).find(": deadline, energy budget\n") !=
        std::string::npos);
}

TEST_CASE("a picture that waits says as what, and how much of it is in the spool") {
  const auto model = labelled_model();
  Record record;
  record.image = "a.jpg";
  record.request_id = 5;
  record.status = Status(StatusCode::kUnavailable, "no server");
  CHECK_FALSE(
      nlohmann::json::parse(record_json(record, model->header(), {})).contains("spooled_as"));
  record.spooled = true;
  record.spooled_as = kWaitsAsActivation;
  record.spooled_bytes = 1234;
  const auto json = nlohmann::json::parse(record_json(record, model->header(), {}));
  CHECK(json.at("spooled") == true);
  CHECK(json.at("spooled_as") == "activation");
  CHECK(json.at("spooled_bytes") == 1234);
  CHECK(record_text(record, model->header(), {}) ==
        "a.jpg: waits in the spool (activation, 1234 bytes): no server\n");
}

TEST_CASE("a file name that is not UTF-8 does not stop the report") {
  const auto model = labelled_model();
  Record record = answered();
  record.image = "caf\xe9.jpg";
  CHECK(nlohmann::json::accept(record_json(record, model->header(), {})));
}

TEST_CASE("a NaN ranks after every number, and the order is the same wherever it stands") {
  const auto model = labelled_model();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto order = [&](const std::vector<float>& scores) {
    std::vector<std::size_t> indices;
    for (const RankedLabel& entry : rank_scores(scores, model->header(), 5)) {
      indices.push_back(entry.index);
    }
    return indices;
  };
  using Indices = std::vector<std::size_t>;
  CHECK(order({kNan, -kInf, 2, kNan, 1}) == Indices{2, 4, 1, 0, 3});
  CHECK(order({-kInf, kNan, -kNan, kInf, 0}) == Indices{3, 4, 0, 1, 2});
  CHECK(order({kNan, kNan, kNan, kNan, kNan}) == Indices{0, 1, 2, 3, 4});
  Record record = answered();
  record.scores = {kNan, 1, 0, 0, 0};
  CHECK(nlohmann::json::parse(record_json(record, model->header(), {}))
            .at("top")[4]
            .at("score")
            .is_null());
}

}  // namespace cleave::agent
