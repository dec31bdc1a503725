// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/commands.h"
#include "agent/decision_trace.h"

namespace cleave::agent {

namespace {

// Corrupt and of another model is the trace here: the codes for models would point at the wrong
// file.
ExitCode trace_exit_code(const Status& status) {
  const bool unusable =
      status.code() == StatusCode::kCorrupt || status.code() == StatusCode::kMismatch;
  return unusable ? ExitCode::kBadInput : exit_code_of(status);
}

}  // namespace

int replay_command(const CommandOptions& options) {
  const auto model = ModelFile::open(options.model_path);
  if (!model.is_ok()) return fail(exit_code_of(model.status()), model.status().message());
  const auto replay = replay_trace(options.replay, **model);
  if (!replay.is_ok()) return fail(trace_exit_code(replay.status()), replay.status().message());
  if (options.json) {
    const nlohmann::ordered_json json{{"decisions", replay->decisions},
                                      {"different", replay->different},
                                      {"first_difference", replay->first_difference}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("%zu decisions taken again, %zu of them different\n", replay->decisions,
                replay->different);
  }
  const ExitCode code = replay->different == 0 ? ExitCode::kOk : ExitCode::kReplayDiffers;
  if (const int failed = finish_output(code); failed != 0 && code == ExitCode::kOk) return failed;
  if (code == ExitCode::kOk) return 0;
  return fail(code, options.replay + ": " + replay->first_difference);
}

}  // namespace cleave::agent
