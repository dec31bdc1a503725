// SPDX-License-Identifier: Apache-2.0
//
// What the runners (one process for each contender, started by bench_model) have in common. It
// links nothing, so that start time and memory are the contender's own.
//
// A runner runs once and writes its first answer to what was its standard output; then each byte
// that it reads is a command to run once more, which it answers with the nanoseconds as a u64 of
// this machine. It ends with its standard input. The first answer:
//   u32 length, what the contender is (text); u32 count, the scores (f32)
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cleave::bench {

inline constexpr char kRunCommand = 'r';
inline constexpr std::uint32_t kMaxTextBytes = 256;
inline constexpr std::uint32_t kMaxScores = 1u << 24;

// Exit codes of a runner.
inline constexpr int kRunnerFailed = 1;
inline constexpr int kRunnerUsage = 2;
inline constexpr int kRunnerUnsupported = 3;  // the contender has no such operator

struct RunnerArguments {
  std::string model;  // path
  std::string input;  // path: f32, height x width x channels
  unsigned threads = 1;
  std::vector<std::string> more;
};

// Prints one line on standard error and exits with `code`.
[[noreturn]] void fail(const std::string& message, int code = kRunnerFailed);

// Reads "MODEL INPUT THREADS MORE...", keeps what libraries print away from the channel, and pins
// the process to the first THREADS CPUs it may use. Fails when there are fewer. To be called
// before anything is loaded.
RunnerArguments begin(int argc, char** argv, std::size_t more);

// The whole file as floats; fails unless it has `count` of them.
std::vector<float> read_floats(const std::string& path, std::size_t count);

// Runs, answers, and serves commands until standard input ends. `run` returns the scores, valid
// until it is called again; when it cannot run it calls fail(). `text` says what the contender is.
int serve(const std::string& text, const std::function<std::span<const float>()>& run);

}  // namespace cleave::bench
