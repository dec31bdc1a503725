// SPDX-License-Identifier: Apache-2.0
#include "tests/hil/soak_agent.h"

#include <signal.h>

#include <filesystem>

#include "schemas/exit_code.h"
#include "tests/support/process.h"

namespace cleave::test {
namespace {

using std::chrono::milliseconds;

// A run of minutes at the uplink's rate, so that its memory can be judged.
constexpr std::size_t kPicturesOfARun = 4000;
constexpr std::size_t kMostComplaints = 20;

}  // namespace

SoakAgent::SoakAgent(const FaultBench& bench, const SoakAgentOptions& options, SoakCounts& counts)
    : bench_(bench),
      options_(options),
      counts_(counts),
      random_(options.seed),
      relay_(options.server_port) {
  relay_.keep_recording(false);
  for (const BenchPicture& picture : bench.pictures()) by_path_[picture.path] = &picture;
  worker_ = std::thread([this] { work(); });
  spoiler_ = std::thread([this] { spoil(); });
}

SoakAgent::~SoakAgent() {
  if (worker_.joinable()) (void)end();
}

void SoakAgent::complain(const std::string& what) {
  if (complaints_.size() < kMostComplaints) complaints_.push_back(what);
}

std::vector<std::string> SoakAgent::words(bool has_pictures) const {
  auto words = words_for({.model = bench_.model(ModelVersion::kFirst),
                          .server = relay_.address(),
                          .folder = folder_.path().string(),
                          .sync = "interval:1s",
                          .timeout = "2s",
                          .cap_bytes = bench_.cap_bytes()});
  words.insert(words.end(), {"--uplink-limit", options_.uplink});
  if (!has_pictures) return words;
  // Two small ones for each other picture: also a PNG, a damaged one and large ones.
  const auto& pictures = bench_.pictures();
  for (std::size_t i = 0; i < kPicturesOfARun; ++i) {
    words.push_back(pictures[i % 16 == 0 ? i / 16 % pictures.size() : i % 6].path);
  }
  return words;
}

void SoakAgent::take_line(const std::string& text) {
  const auto line = nlohmann::json::parse(text, nullptr, false);
  if (!line.is_object()) return complain("not a line of the agent's: " + text.substr(0, 200));
  const auto picture = by_path_.find(line.value("image", std::string()));
  if (picture == by_path_.end()) return complain("of no picture: " + text.substr(0, 200));
  if (line.contains("scores")) {
    ++counts_.answered;
    ++answered_;
    if (line.contains("sent")) ++counts_.by_server;
    if (line.at("scores") != picture->second->scores.at(ModelVersion::kFirst)) {
      complain("a wrong answer: " + text.substr(0, 200));
    }
  } else if (line.value("spooled", false)) {
    ++counts_.spooled;
  } else if (line.value("dropped", std::string()) != "refused" || !picture->second->is_damaged) {
    complain("ended as it may not: " + text.substr(0, 300));
  }
}

// False when it has to stop.
bool SoakAgent::run_once(bool has_pictures) {
  killed_ = false;
  BackgroundProgram program(words(has_pictures), {}, folder_ / "agent.log");
  pid_ = program.pid();
  if (over_ && has_pictures) program.signal(SIGTERM);  // end() may not have seen it
  for (std::string line = program.read_line(); !line.empty(); line = program.read_line()) {
    take_line(line);
  }
  pid_ = 0;
  const int code = program.wait();
  ++counts_.runs;
  const bool orderly = code == static_cast<int>(ExitCode::kOk) ||
                       code == static_cast<int>(ExitCode::kPartial) ||
                       code == static_cast<int>(ExitCode::kServerUnreachable) ||
                       code == static_cast<int>(ExitCode::kBadInput);
  const bool told_early = over_ && code == 128 + SIGTERM;  // before it had a handler
  if (!orderly && !killed_ && !told_early) {
    complain("an agent ended with " + std::to_string(code));
    return false;
  }
  return true;
}

void SoakAgent::work() {
  while (!over_) {
    if (!run_once(true)) return;
    // Disks are not what is soaked: the log of a run that left nothing behind goes.
    if (!killed_ && !over_ && run_once(false)) {
      std::filesystem::remove(folder_ / "results.jsonl");
    }
  }
}

void SoakAgent::pause_unless_over(milliseconds pause) {
  const auto until = std::chrono::steady_clock::now() + pause;
  while (!over_ && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(10));
  }
}

// Mild: most pictures do not meet any of it.
void SoakAgent::spoil() {
  while (!over_) {
    pause_unless_over(milliseconds(500 + random_() % 4000));
    if (over_) break;
    ++counts_.faults;
    switch (random_() % (options_.kills ? 7 : 6)) {
      case 0:
        relay_.close_connections();
        break;
      case 1:
        relay_.cut_after(static_cast<std::int64_t>(random_() % 40'000));
        break;
      case 2:
        relay_.cut_answers_after(static_cast<std::int64_t>(random_() % 3'000));
        break;
      case 3:
        relay_.freeze(true);
        break;
      case 4:
        relay_.refuse(true);
        relay_.close_connections();
        break;
      case 5:
        relay_.strand_connections();
        pause_unless_over(milliseconds(2500));
        relay_.close_connections();
        break;
      case 6:
        killed_ = true;
        if (const pid_t pid = pid_; pid > 0) ::kill(pid, SIGKILL);
        break;
    }
    pause_unless_over(milliseconds(random_() % 400));
    relay_.freeze(false);
    relay_.refuse(false);
    relay_.cut_after(-1);
    relay_.cut_answers_after(-1);
  }
}

std::vector<std::string> SoakAgent::end() {
  over_ = true;
  spoiler_.join();
  if (const pid_t pid = pid_; pid > 0) ::kill(pid, SIGTERM);
  worker_.join();
  // Whatever waits is answered now, and then nothing waits.
  (void)run_once(false);
  const std::uint64_t before = answered_;
  (void)run_once(false);
  if (answered_ != before) complain("pictures still waited for a server that was there");
  return complaints_;
}

}  // namespace cleave::test
