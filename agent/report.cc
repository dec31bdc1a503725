// SPDX-License-Identifier: Apache-2.0
#include "agent/report.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "agent/request_ids.h"
#include "agent/spool/result_line.h"

namespace cleave::agent {
namespace {

// Below this many pictures the answers themselves are progress enough.
constexpr std::size_t kLongRun = 5;

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

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
  // Compared as a number, a NaN would make this no order at all.
  const auto ranks_before = [&](std::size_t a, std::size_t b) {
    const bool a_is_nan = std::isnan(scores[a]);
    const bool b_is_nan = std::isnan(scores[b]);
    if (a_is_nan != b_is_nan) return b_is_nan;
    return a_is_nan || scores[a] == scores[b] ? a < b : scores[a] > scores[b];
  };
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(kept), ranks_before);
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

std::string record_json(const Record& record, const fbs::Model& model, const ReportOptions& options,
                        const std::optional<PartErrors>& errors) {
  nlohmann::ordered_json json;
  json["image"] = record.image;
  if (record.request_id != 0) json["request"] = request_id_text(record.request_id);
  if (record.wire_id != 0) json["wire_id"] = wire_id_text(record.wire_id);
  if (record.drained) json["drained"] = true;
  if (!record.status.is_ok()) {
    if (record.spooled) {
      json["spooled"] = true;
      json["spooled_as"] = record.spooled_as;
      json["spooled_bytes"] = record.spooled_bytes;
    }
    if (!record.dropped.empty()) json["dropped"] = record.dropped;
    json["error"] = record.status.message();
    json["error_code"] = std::string(status_code_name(record.status.code()));
    return dump(json);
  }
  json["variant"] = record.variant;
  json["split"] = record.split;
  if (!record.fallback.empty()) {
    json["planned_split"] = record.planned_split;
    json["fallback"] = record.fallback;
  }
  if (!record.bounds_missed.empty()) json["bounds_missed"] = record.bounds_missed;
  json["top"] = nlohmann::ordered_json::array();
  for (const RankedLabel& entry : rank_scores(record.scores, model, options.top)) {
    json["top"].push_back({{"index", entry.index}, {"label", entry.label}, {"score", entry.score}});
  }
  json["edge_ns"] = record.edge_ns;
  json["encode_ns"] = record.encode_ns;
  json["tx_ns"] = record.tx_ns;
  json["server_ns"] = record.server_ns;
  json["rx_ns"] = record.rx_ns;
  if (record.waited_ns > 0) json["waited_ns"] = record.waited_ns;
  json["total_ns"] = record.total_ns;
  json["bytes_up"] = record.bytes_up;
  if (record.predicted.total_ns() > 0) {
    json["predicted"] = {{"edge_ns", record.predicted.edge_ns},
                         {"link_ns", record.predicted.link_ns},
                         {"server_ns", record.predicted.server_ns},
                         {"total_ns", record.predicted.total_ns()}};
  }
  if (errors) {
    json["prediction_error_ppm"] = {{"edge", errors->edge_ppm},
                                    {"link", errors->link_ppm},
                                    {"server", errors->server_ppm},
                                    {"total", errors->total_ppm}};
  }
  if (!record.sent.empty()) json["sent"] = record.sent;
  if (!record.codec.empty()) json["codec"] = record.codec;
  if (options.scores) json["scores"] = record.scores;
  return dump(json);
}

std::string record_text(const Record& record, const fbs::Model& model,
                        const ReportOptions& options) {
  if (!record.status.is_ok()) {
    const std::string waits = ": waits in the spool (" + record.spooled_as + ", " +
                              std::to_string(record.spooled_bytes) + " bytes): ";
    return record.image + (record.spooled ? waits : ": no answer: ") + record.status.message() +
           "\n";
  }
  std::string text = record.image + "\n";
  for (const RankedLabel& entry : rank_scores(record.scores, model, options.top)) {
    text += "  " + number("%8.4f", static_cast<double>(entry.score)) + "  " +
            (entry.label.empty() ? "class " + std::to_string(entry.index) : entry.label) + "\n";
  }
  text += "  split " + std::to_string(record.split);
  if (!record.split_name.empty()) text += " (" + record.split_name + ")";
  if (!record.variant.empty()) text += " in " + record.variant;
  text += ", " + std::to_string(record.bytes_up) + " bytes up" +
          (record.sent.empty() ? "" : " as " + record.sent) +
          (record.codec.empty() ? "" : " (" + record.codec + ")") + "; ms: edge " +
          number("%.2f", milliseconds(record.edge_ns)) + ", encode " +
          number("%.2f", milliseconds(record.encode_ns)) + ", transmit " +
          number("%.2f", milliseconds(record.tx_ns)) + ", server " +
          number("%.2f", milliseconds(record.server_ns)) + ", return " +
          number("%.2f", milliseconds(record.rx_ns)) + ", total " +
          number("%.2f", milliseconds(record.total_ns));
  if (record.predicted.total_ns() > 0) {
    text += " (planned " + number("%.2f", milliseconds(record.predicted.total_ns())) + ")";
  }
  text += "\n";
  if (!record.fallback.empty()) text += "  finished on the device: " + record.fallback + "\n";
  if (!record.bounds_missed.empty()) {
    text += "  expected to break, as every split: " + record.bounds_missed + "\n";
  }
  if (options.scores) {
    for (std::size_t i = 0; i < record.scores.size(); ++i) {
      text += "  " + std::to_string(i) + " " +
              number("%.9g", static_cast<double>(record.scores[i])) + "\n";
    }
  }
  return text;
}

std::string ids_text(const Record& record) {
  std::string text;
  if (record.request_id != 0) text = "request " + request_id_text(record.request_id);
  if (record.wire_id != 0) {
    text += (text.empty() ? "wire_id " : ", wire_id ") + wire_id_text(record.wire_id);
  }
  return text.empty() ? text : " (" + text + ")";
}

std::string errors_text(const PredictionErrors& errors) {
  const std::optional<PartErrors> median = errors.median();
  if (!median) return {};
  const auto percent = [](std::uint64_t ppm) {
    return number("%.1f %%", static_cast<double>(ppm) / 1e4);
  };
  return "plans were off by " + percent(median->total_ppm) + " of the total (median of " +
         std::to_string(std::min(errors.pictures(), PredictionErrors::kWindow)) +
         " pictures; device " + percent(median->edge_ppm) + ", link " + percent(median->link_ppm) +
         ", server " + percent(median->server_ppm) + ")\n";
}

ProgressBar::ProgressBar(std::size_t total)
    : total_(total), shown_(total >= kLongRun && isatty(STDERR_FILENO) != 0) {
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
