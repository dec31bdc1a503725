// SPDX-License-Identifier: Apache-2.0
//
// `run --trace FILE` and `plan --replay FILE`: everything that the decisions of a run depended on,
// a JSON object a line, and the decisions taken again from it, without a network or a picture. The
// first line holds the options and the device's table; every other is one call of OnlinePlanner.
// Format version 4: agent/README.md, "Traces"; version 3, without JPEGs at model size, and version
// 2, without what codecs cost, are replayed too.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "agent/online_planner.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// What SplitPlanner::create() and OnlinePlanner were made with.
struct TraceStart {
  ModelIdentity model_identity{};
  std::uint32_t variant = 0;
  std::uint64_t overhead_bytes = 0;
  bool has_weight_cache = false;
  Preference preference = Preference::kSpeed;
  CutCodecs codecs;   // SplitPlanner::use_codecs()
  EdgeTable table;    // of the device
  DeviceSpeed speed;  // when the run began
  OnlineOptions options;
};

class DecisionTrace {
 public:
  // Errors: kIo.
  static Result<DecisionTrace> create(const std::string& path, const TraceStart& start);

  void write(const HandshakeSeen& seen);
  void write(const DeviceSpeed& now);
  void write(const Situation& situation, const Result<Choice>& choice);
  void write(const Outcome& outcome);

  // Whether all was written. Errors: kIo.
  [[nodiscard]] Status finish();

 private:
  explicit DecisionTrace(const std::string& path);
  std::string path_;
  std::ofstream file_;
};

struct Replay {
  std::size_t decisions = 0;
  std::size_t different = 0;
  std::string first_difference;  // "line 7: was ..., is ..."; empty when all are the same
};

inline constexpr std::uint64_t kMaxTraceLineBytes = 1 << 20;
inline constexpr std::uint64_t kMaxTraceLines = 10'000'000;

// Takes every decision of the trace in `path` again. Errors: kNotFound, kIo, kCorrupt (no trace, or
// a damaged one: names the line), kMismatch (it is another model's).
[[nodiscard]] Result<Replay> replay_trace(const std::string& path, const ModelFile& model);

}  // namespace cleave::agent
