// SPDX-License-Identifier: Apache-2.0
//
// Records as lines for people or as JSON lines, and a progress bar on a terminal.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/prediction_error.h"
#include "agent/record.h"
#include "schemas/generated/model_generated.h"

namespace cleave::agent {

struct ReportOptions {
  bool json = false;
  bool scores = false;
  unsigned top = 5;
};

// One answer of the top list.
struct RankedLabel {
  std::size_t index = 0;
  std::string label;  // empty when the model has no labels
  float score = 0;
};

// The `count` greatest scores, equal ones by index; NaN comes after every number, minus infinity
// too.
[[nodiscard]] std::vector<RankedLabel> rank_scores(std::span<const float> scores,
                                                   const fbs::Model& model, unsigned count);

// One JSON object, no newline; fields as README.md documents them. `errors`: of the run so far.
[[nodiscard]] std::string record_json(const Record& record, const fbs::Model& model,
                                      const ReportOptions& options,
                                      const std::optional<PartErrors>& errors = std::nullopt);
// Lines for a person, newline included.
[[nodiscard]] std::string record_text(const Record& record, const fbs::Model& model,
                                      const ReportOptions& options);

// " (request a9e48edc6679ed9d, wire_id 7151358562378360757)", those of them that there are.
[[nodiscard]] std::string ids_text(const Record& record);

// A line on how far predictions were off, newline included; empty when there were none.
[[nodiscard]] std::string errors_text(const PredictionErrors& errors);

// Redraws one line of standard error while it is a terminal and there is enough to wait for; does
// nothing otherwise.
class ProgressBar {
 public:
  explicit ProgressBar(std::size_t total);
  ~ProgressBar();
  void advance();
  // Takes the bar away, so that other lines can be written; advance() draws it again.
  void clear();

 private:
  void draw();
  std::size_t total_;
  std::size_t done_ = 0;
  bool shown_;
};

}  // namespace cleave::agent
