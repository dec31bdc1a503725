// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace cleave::bench {
namespace {

constexpr double kBytesPerMb = 1e6;

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof(text), pattern, arguments);
  va_end(arguments);
  return text;
}

double smallest(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

std::string row(const CaseResult& result, const Verdict& verdict, std::size_t index) {
  const ContenderResult& c = result.contenders[index];
  const std::string head =
      format("%-18s %7u  %-14s", result.model.c_str(), result.threads, c.name.c_str());
  if (!c.absent.empty()) return head + " absent: " + c.absent + "\n";
  const std::string ratio =
      is_ours(c.name) && verdict.time_ratio ? format("%.3f", verdict.time_ratios[index]) : "";
  const std::string score =
      c.name == verdict.reference ? "reference" : format("%.1e", verdict.differences[index]);
  return head + format("%10.3f %10.3f %10.3f %10.3f %7s %10.1f %10.1f  %s\n",
                       quantile(c.run_ms, 0.5), smallest(c.run_ms), quantile(c.run_ms, 0.1),
                       quantile(c.run_ms, 0.9), ratio.c_str(),
                       static_cast<double>(c.peak_rss_bytes) / kBytesPerMb,
                       quantile(c.start_ms, 0.5), score.c_str());
}

std::string summary(const Verdict& verdict) {
  std::string text;
  if (verdict.time_ratio) {
    text = format("  %.3f of the time of %s", *verdict.time_ratio, verdict.faster.c_str());
  }
  if (verdict.start_ratio && verdict.peak_ratio) {
    text += format("; start %.3f and peak %.3f of %s", *verdict.start_ratio, *verdict.peak_ratio,
                   kOnnxRuntime);
  }
  if (verdict.cached_start_ratio) {
    text += format("; start with a filled cache %.3f", *verdict.cached_start_ratio);
  }
  if (!text.empty()) text += "\n";
  if (!verdict.error.empty()) text += "  WRONG: " + verdict.error + "\n";
  return text;
}

std::string contender_texts(const std::vector<CaseResult>& results) {
  std::string text;
  for (const ContenderResult& contender : results.front().contenders) {
    if (contender.absent.empty()) text += contender.name + ": " + contender.text + "\n";
  }
  return text;
}

std::string kernel_set(const std::vector<CaseResult>& results) {
  return results.empty() ? std::string() : results.front().contenders.front().text;
}

nlohmann::ordered_json to_json(const ContenderResult& c, double difference, double time_ratio) {
  nlohmann::ordered_json json{{"name", c.name}};
  if (!c.absent.empty()) {
    json["absent"] = c.absent;
    return json;
  }
  json["text"] = c.text;
  json["median_ms"] = quantile(c.run_ms, 0.5);
  json["minimum_ms"] = smallest(c.run_ms);
  json["p10_ms"] = quantile(c.run_ms, 0.1);
  json["p90_ms"] = quantile(c.run_ms, 0.9);
  json["run_ms"] = c.run_ms;
  json["start_median_ms"] = quantile(c.start_ms, 0.5);
  json["start_ms"] = c.start_ms;
  json["peak_rss_bytes"] = c.peak_rss_bytes;
  json["score_difference"] = difference;
  if (time_ratio > 0) json["time_ratio"] = time_ratio;
  return json;
}

nlohmann::ordered_json to_json(const CaseResult& result) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  };
  const Verdict verdict = judge(result);
  nlohmann::ordered_json json{
      {"model", result.model},
      {"threads", result.threads},
      {"input", {result.input.height(), result.input.width(), result.input.channels()}},
      {"score_reference", verdict.reference},
      {"score_error", verdict.error},
      {"faster_peer", verdict.faster},
      {"time_ratio", or_null(verdict.time_ratio)},
      {"start_ratio_to_onnxruntime", or_null(verdict.start_ratio)},
      {"cached_start_ratio_to_onnxruntime", or_null(verdict.cached_start_ratio)},
      {"peak_ratio_to_onnxruntime", or_null(verdict.peak_ratio)}};
  json["contenders"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    json["contenders"].push_back(to_json(result.contenders[i], verdict.differences[i],
                                         verdict.time_ratio ? verdict.time_ratios[i] : 0));
  }
  return json;
}

}  // namespace

std::string to_table(const Setup& setup, const std::vector<CaseResult>& results) {
  if (results.empty()) return {};
  std::string text =
      format("%s, %u CPUs; %u runs after %u, %u starts, all medians\n", setup.processor.c_str(),
             setup.processors, setup.options.runs, setup.options.warmup + 1, setup.options.starts);
  text += contender_texts(results);
  text += format("\n%-18s %7s  %-14s%10s %10s %10s %10s %7s %10s %10s  %s\n", "model", "threads",
                 "contender", "median ms", "least ms", "p10 ms", "p90 ms", "ratio", "peak MB",
                 "start ms", "scores off");
  for (const CaseResult& result : results) {
    const Verdict verdict = judge(result);
    for (std::size_t i = 0; i < result.contenders.size(); ++i) text += row(result, verdict, i);
    text += summary(verdict);
  }
  return text;
}

std::string to_json(const Setup& setup, const std::vector<CaseResult>& results) {
  nlohmann::ordered_json json{
      {"processor", setup.processor},      {"processors", setup.processors},
      {"runs", setup.options.runs},        {"warmup", setup.options.warmup},
      {"starts", setup.options.starts},    {"score_tolerance", kScoreTolerance},
      {"kernel_set", kernel_set(results)}, {"results", nlohmann::ordered_json::array()}};
  for (const CaseResult& result : results) json["results"].push_back(to_json(result));
  return json.dump(2) + "\n";
}

}  // namespace cleave::bench
