// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/bench/bench_report.h"
#include "tests/support/graph_interpreter.h"

namespace cleave::bench {
namespace {

const ContenderResult* find(const CaseResult& result, const char* name) {
  for (const ContenderResult& contender : result.contenders) {
    if (contender.name == name && contender.absent.empty()) return &contender;
  }
  return nullptr;
}

// How far apart the scores are, as a share of the largest.
double score_spread(const std::vector<float>& scores) {
  if (scores.empty()) return 0;
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  const double largest = std::max(std::abs(double{*low}), std::abs(double{*high}));
  return largest > 0 ? (double{*high} - *low) / largest : 0;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2g %%", share * 100);
  return text;
}

double tolerance_of(const std::string& contender) {
  if (contender == kOursF16) return kF16ScoreTolerance;
  return contender == kOursInt8 ? kInt8ScoreTolerance : kScoreTolerance;
}

void compare_scores(const CaseResult& result, const ContenderResult& reference, Verdict& verdict) {
  constexpr double kLeastSpread = 10 * kScoreTolerance;
  if (!(score_spread(reference.scores) >= kLeastSpread)) {
    verdict.error = "the scores of " + reference.name + " hardly differ from each other";
  }
  for (const ContenderResult& contender : result.contenders) {
    const bool compared = contender.absent.empty() && &contender != &reference;
    const double difference =
        compared ? test::relative_error(reference.scores, contender.scores) : 0;
    verdict.differences.push_back(difference);
    if (difference <= tolerance_of(contender.name)) continue;
    verdict.error = "the scores of " + contender.name + " are " + percent(difference) +
                    " off those of " + reference.name;
  }
}

void compare_times(const CaseResult& result, const ContenderResult& ours, Verdict& verdict) {
  double best = 0;
  for (const ContenderResult& contender : result.contenders) {
    if (!contender.absent.empty() || is_ours(contender.name)) continue;
    const double median = quantile(contender.run_ms, 0.5);
    if (!verdict.faster.empty() && median >= best) continue;
    verdict.faster = contender.name;
    best = median;
  }
  verdict.time_ratios.resize(result.contenders.size());
  if (!(best > 0)) return;
  verdict.time_ratio = quantile(ours.run_ms, 0.5) / best;
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    const ContenderResult& contender = result.contenders[i];
    if (!is_ours(contender.name)) continue;
    verdict.time_ratios[i] = quantile(contender.run_ms, 0.5) / best;
  }
}

}  // namespace

double quantile(std::span<const double> values, double share) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Verdict judge(const CaseResult& result) {
  Verdict verdict;
  const ContenderResult* ours = find(result, kOurs);
  const ContenderResult* ort = find(result, kOnnxRuntime);
  const ContenderResult* reference = ort != nullptr ? ort : find(result, kXnnpack);
  if (ours == nullptr || reference == nullptr) {
    verdict.differences.resize(result.contenders.size());
    verdict.error = "there is nobody to compare with";
    return verdict;
  }
  verdict.reference = reference->name;
  compare_scores(result, *reference, verdict);
  compare_times(result, *ours, verdict);
  if (ort != nullptr) {
    verdict.start_ratio = quantile(ours->start_ms, 0.5) / quantile(ort->start_ms, 0.5);
    verdict.peak_ratio =
        static_cast<double>(ours->peak_rss_bytes) / static_cast<double>(ort->peak_rss_bytes);
    if (const ContenderResult* cached = find(result, kOursCached)) {
      verdict.cached_start_ratio = quantile(cached->start_ms, 0.5) / quantile(ort->start_ms, 0.5);
    }
  }
  return verdict;
}

}  // namespace cleave::bench
