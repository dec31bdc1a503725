// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_report.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace cleave::bench {
namespace {

ContenderResult contender(const char* name, double ms, std::vector<float> scores) {
  ContenderResult result;
  result.name = name;
  result.run_ms = {ms, ms + 2, ms + 1};
  result.start_ms = {10 * ms};
  result.peak_rss_bytes = static_cast<std::uint64_t>(ms * 1e6);
  result.scores = std::move(scores);
  return result;
}

CaseResult three() {
  return {"net",
          1,
          fbs::Shape(2, 2, 3),
          {contender(kOurs, 4, {0.25f, 0.5f}), contender(kOnnxRuntime, 9, {0.25f, 0.5f}),
           contender(kXnnpack, 7, {0.25f, 0.5f})}};
}

TEST_CASE("quantiles lie on the line between the sorted values") {
  const std::vector<double> values{40, 10, 30, 20, 50};
  CHECK(quantile(values, 0) == 10);
  CHECK(quantile(values, 0.5) == 30);
  CHECK(quantile(values, 0.1) == doctest::Approx(14));
  CHECK(quantile(values, 0.9) == doctest::Approx(46));
  CHECK(quantile(values, 1) == 50);
  CHECK(quantile(std::vector<double>{3, 4}, 0.5) == 3.5);
  CHECK(quantile(std::vector<double>{7}, 0.9) == 7);
}

TEST_CASE("our median is compared with the faster of the others") {
  const Verdict verdict = judge(three());
  CHECK(verdict.error == "");
  CHECK(verdict.reference == kOnnxRuntime);
  CHECK(verdict.faster == kXnnpack);
  CHECK(*verdict.time_ratio == doctest::Approx(5.0 / 8));
  CHECK(*verdict.start_ratio == doctest::Approx(40.0 / 90));
  CHECK(*verdict.peak_ratio == doctest::Approx(4.0 / 9));
}

TEST_CASE("our start with a filled cache is compared as well, but we do not race ourselves") {
  CaseResult result = three();
  result.contenders.insert(result.contenders.begin() + 1, contender(kOursCached, 1, {0.25f, 0.5f}));
  const Verdict verdict = judge(result);
  CHECK(verdict.error == "");
  CHECK(verdict.faster == kXnnpack);
  CHECK(*verdict.cached_start_ratio == doctest::Approx(10.0 / 90));
  CHECK(to_table({}, {result}).find("filled cache 0.111") != std::string::npos);
  CHECK_FALSE(judge(three()).cached_start_ratio.has_value());
}

TEST_CASE("the reduced precisions have ratios and tolerances of their own, and do not race f32") {
  CaseResult result = three();
  result.contenders.push_back(contender(kOursF16, 3, {0.25f, 0.503f}));
  result.contenders.push_back(contender(kOursInt8, 1, {0.35f, 0.5f}));
  const Verdict verdict = judge(result);
  CHECK(verdict.error == "");
  CHECK(verdict.faster == kXnnpack);
  CHECK(verdict.time_ratios[0] == doctest::Approx(5.0 / 8));
  CHECK(verdict.time_ratios[1] == 0);
  CHECK(verdict.time_ratios[3] == doctest::Approx(4.0 / 8));
  CHECK(verdict.time_ratios[4] == doctest::Approx(2.0 / 8));
  result.contenders[3].scores[1] = 0.506f;
  CHECK(judge(result).error.find(kOursF16) != std::string::npos);
  result.contenders[3].scores[1] = 0.5f;
  result.contenders[4].scores[0] = 0.45f;
  CHECK(judge(result).error.find(kOursInt8) != std::string::npos);
}

TEST_CASE("an absent contender is not compared with") {
  CaseResult result = three();
  result.contenders[2] = {};
  result.contenders[2].name = kXnnpack;
  result.contenders[2].absent = "no LRN";
  const Verdict verdict = judge(result);
  CHECK(verdict.error == "");
  CHECK(verdict.faster == kOnnxRuntime);
  CHECK(to_table({}, {result}).find("absent: no LRN") != std::string::npos);
  result.contenders[1].absent = "no library";
  CHECK(judge(result).error != "");
}

TEST_CASE("wrong scores are an error") {
  CaseResult result = three();
  result.contenders[0].scores[0] += 0.0004f;  // 8e-4 of the largest
  CHECK(judge(result).error == "");
  CHECK(judge(result).differences[0] == doctest::Approx(8e-4));
  result.contenders[0].scores[0] += 0.0002f;
  CHECK(judge(result).error.find(kOurs) != std::string::npos);
  CHECK(to_table({}, {result}).find("WRONG") != std::string::npos);
  result.contenders[0].scores[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(judge(result).error != "");
  result.contenders[0].scores = {0.25f};
  CHECK(judge(result).error != "");
}

TEST_CASE("scores that any network would give prove nothing") {
  CaseResult result = three();
  for (ContenderResult& c : result.contenders) c.scores = {0.5f, 0.501f};
  CHECK(judge(result).error != "");
}

TEST_CASE("without ONNX Runtime the XNNPACK runtime is the reference") {
  CaseResult result = three();
  result.contenders.erase(result.contenders.begin() + 1);
  const Verdict verdict = judge(result);
  CHECK(verdict.error == "");
  CHECK(verdict.reference == kXnnpack);
  CHECK_FALSE(verdict.peak_ratio.has_value());
  CHECK(nlohmann::json::parse(to_json({}, {result}))["results"][0]["start_ratio_to_onnxruntime"]
            .is_null());
}

TEST_CASE("a run of which nothing came has a report") {
  CHECK(to_table({}, {}) == "");
  CHECK(nlohmann::json::parse(to_json({}, {}))["results"].empty());
}

TEST_CASE("the JSON report has every run") {
  const auto json = nlohmann::json::parse(to_json({"a CPU", 2, {}}, {three()}));
  CHECK(json["processor"] == "a CPU");
  const auto& ours = json["results"][0]["contenders"][0];
  CHECK(ours["name"] == kOurs);
  CHECK(ours["run_ms"] == nlohmann::json({4.0, 6.0, 5.0}));
  CHECK(ours["median_ms"] == 5.0);
  CHECK(ours["peak_rss_bytes"] == 4'000'000);
}

}  // namespace
}  // namespace cleave::bench
