// SPDX-License-Identifier: Apache-2.0
#include "agent/report.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace cleave::agent {
namespace {

// Below this many pictures the answers themselves are progress enough.
constexpr std::size_t kLongRun = 5;

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

// File names are bytes, JSON is UTF-8: what is not is replaced, never a reason to fail.
std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::vector<RankedLabel> rank_scores(std::span<const float> scores, const fbs::Model& model,
                                     unsigned count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::size_t kept = std::min<std::size_t>(count, order.size());
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(kept),
                            [&](std::size_t a, std::size_t b) {
                              return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
                            });
  std::vector<RankedLabel> ranked;
  for (std::size_t i = 0; i < kept; ++i) {
    const auto* labels = model.labels();
    std::string label;
    if (labels != nullptr)
      label = labels->Get(static_cast<flatbuffers::uoffset_t>(order[i]))->str();
    ranked.push_back({order[i], std::move(label), scores[order[i]]});
  }
  return ranked;
}

std::string record_json(const Record& record, const fbs::Model& model,
                        const ReportOptions& options) {
  nlohmann::ordered_json json;
  json["image"] = record.image;
  if (!record.status.is_ok()) {
    json["error"] = record.status.message();
    json["error_code"] = std::string(status_code_name(record.status.code()));
    return dump(json);
  }
  json["split"] = record.split;
  if (!record.fallback.empty()) {
    json["planned_split"] = record.planned_split;
    json["fallback"] = record.fallback;
  }
  json["top"] = nlohmann::ordered_json::array();
  for (const RankedLabel& entry : rank_scores(record.scores, model, options.top)) {
    json["top"].push_back({{"index", entry.index}, {"label", entry.label}, {"score", entry.score}});
  }
  json["edge_ns"] = record.edge_ns;
  json["encode_ns"] = record.encode_ns;
  json["tx_ns"] = record.tx_ns;
  json["server_ns"] = record.server_ns;
  json["rx_ns"] = record.rx_ns;
  json["total_ns"] = record.total_ns;
  json["bytes_up"] = record.bytes_up;
  if (options.scores) json["scores"] = record.scores;
  return dump(json);
}

std::string record_text(const Record& record, const fbs::Model& model,
                        const ReportOptions& options) {
  if (!record.status.is_ok())
    return record.image + ": no answer: " + record.status.message() + "\n";
  std::string text = record.image + "\n";
  char line[256];
  for (const RankedLabel& entry : rank_scores(record.scores, model, options.top)) {
    std::snprintf(line, sizeof(line), "  %8.4f  %s\n", static_cast<double>(entry.score),
                  entry.label.empty() ? ("class " + std::to_string(entry.index)).c_str()
                                      : entry.label.c_str());
    text += line;
  }
  std::snprintf(
      line, sizeof(line),
      "  split %u%s%s%s, %llu bytes up; ms: edge %.2f, encode %.2f, transmit %.2f, "
      "server %.2f, return %.2f, total %.2f\n",
      record.split, record.split_name.empty() ? "" : " (", record.split_name.c_str(),
      record.split_name.empty() ? "" : ")", static_cast<unsigned long long>(record.bytes_up),
      milliseconds(record.edge_ns), milliseconds(record.encode_ns), milliseconds(record.tx_ns),
      milliseconds(record.server_ns), milliseconds(record.rx_ns), milliseconds(record.total_ns));
  text += line;
  if (!record.fallback.empty()) text += "  finished on the device: " + record.fallback + "\n";
  if (options.scores) {
    for (std::size_t i = 0; i < record.scores.size(); ++i) {
      std::snprintf(line, sizeof(line), "  %zu %.9g\n", i, static_cast<double>(record.scores[i]));
      text += line;
    }
  }
  return text;
}

ProgressBar::ProgressBar(std::size_t total, bool wanted)
    : total_(total), shown_(wanted && total >= kLongRun && isatty(STDERR_FILENO) != 0) {
  draw();
}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::advance() {
  ++done_;
  draw();
}

void ProgressBar::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::draw() {
  if (!shown_) return;
  constexpr std::size_t kWidth = 40;
  const std::size_t filled = total_ == 0 ? kWidth : done_ * kWidth / total_;
  std::fprintf(stderr, "\r[%s%s] %zu/%zu", std::string(filled, '#').c_str(),
               std::string(kWidth - filled, '.').c_str(), done_, total_);
}

}  // namespace cleave::agent
