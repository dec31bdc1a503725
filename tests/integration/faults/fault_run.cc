// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/faults/fault_run.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

namespace cleave::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// Long for a picture of this model, short for a link that is down.
constexpr const char* kShortTimeout = "300ms";
constexpr const char* kPreloaded = CLEAVE_FAULTY_SYSTEM_LIBRARY;
constexpr milliseconds kLongestWaitForBytes{100}, kLongestWaitForSureBytes{10'000};

std::vector<std::string> names_in(const TemporaryFolder& folder, const FaultBench& bench) {
  std::vector<std::string> names;
  for (const BenchPicture& picture : bench.pictures()) {
    names.push_back(folder / std::filesystem::path(picture.path).filename().string());
  }
  return names;
}

}  // namespace

FaultRun::FaultRun(const FaultBench& bench, const FaultPlan& plan)
    : bench_(bench),
      plan_(plan),
      agent_system_(folder_ / "agent_system"),
      server_system_(folder_ / "server_system"),
      relay_(0),
      judge_(bench, plan, names_in(folder_, bench), folder_ / "spool", folder_ / "results.jsonl"),
      model_(bench.model(ModelVersion::kFirst)) {
  relay_.keep_recording(false);
}

// A server that stands still would keep the relay waiting.
FaultRun::~FaultRun() {
  agent_.reset();
  server_.reset();
  ending_.clear();
}

std::string FaultRun::said() const {
  std::string all;
  for (const char* name : {"agent.log", "server.log"}) {
    std::ifstream file(folder_ / name);
    all += std::string("--- ") + name + "\n";
    all.append(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

std::vector<std::string> FaultRun::both_models() const {
  return {bench_.model(ModelVersion::kFirst), bench_.model(ModelVersion::kSecond)};
}

void FaultRun::prepare() {
  for (const BenchPicture& picture : bench_.pictures()) {
    const std::filesystem::path source(picture.path);
    std::filesystem::copy_file(source, folder_ / source.filename().string(),
                               std::filesystem::copy_options::skip_existing);
  }
  if (plan_.updates_model()) {
    model_ = folder_ / "model";
    std::filesystem::copy(bench_.folder(), model_, std::filesystem::copy_options::recursive);
  }
  agent_system_.control().interrupt_each = plan_.interrupt_each;
  if (plan_.full_cache_disk) {
    server_system_.control().room_bytes = 1000;
    server_system_.control().limited = 1;
  }
}

void FaultRun::start_server(const std::vector<std::string>& models) {
  if (server_ != nullptr) end_server(SIGKILL);
  std::vector<std::string> words{server_program(), "--listen", "127.0.0.1:0",
                                 "--json",         "--cache",  folder_ / "cache"};
  for (const std::string& model : models) words.insert(words.end(), {"--model", model});
  if (plan_.is_over_tls) {
    words.insert(words.end(), bench_.server_trust().begin(), bench_.server_trust().end());
  }
  serves_other_ = models != both_models();
  acts_outlived_ = 0;
  server_ = std::make_unique<BackgroundProgram>(words, server_system_.environment(kPreloaded),
                                                folder_ / "server.log");
  const auto line = nlohmann::json::parse(server_->read_line(), nullptr, false);
  if (!line.is_object()) {
    judge_.complain("a server did not start");
    server_.reset();
    return;
  }
  const std::string address = line.at("address");
  relay_.forward_to(static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1))));
  server_start_ = process_figures(server_->pid());
}

void FaultRun::end_server(int signal_number) {
  if (server_ == nullptr) return;
  if (const auto code = server_->poll_exit()) {
    judge_.complain("a server ended by itself, with " + std::to_string(*code));
    server_.reset();
    return;
  }
  server_->signal(signal_number);
  if (signal_number == SIGKILL) {
    (void)server_->wait();
    server_.reset();
  } else {
    ending_.push_back(std::move(server_));
  }
}

std::vector<std::string> FaultRun::agent_words(const std::vector<unsigned>& pictures,
                                               const std::string& timeout) const {
  const auto cap = plan_.is_over_tls ? bench_.tls_cap_bytes() : bench_.cap_bytes();
  auto words = words_for({.model = model_,
                          .server = relay_.address(),
                          .folder = folder_.path().string(),
                          .sync = plan_.sync,
                          .timeout = timeout,
                          .split = plan_.split,
                          .cap_bytes = plan_.is_capped ? cap : 0,
                          .has_spool = plan_.has_spool});
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  add("--codec", plan_.codec);
  if (plan_.small_spool) {
    add("--spool-limit", "1MiB");
    add("--spool-full", plan_.full);
  }
  if (plan_.has_budget) add("--write-budget", "100kB/hour");
  if (plan_.expires) add("--spool-ttl", "1ms");
  if (!plan_.uplink.empty()) add("--uplink-limit", plan_.uplink);
  if (plan_.is_over_tls) {
    words.insert(words.end(), bench_.agent_trust().begin(), bench_.agent_trust().end());
  }
  for (const unsigned picture : pictures) {
    const std::filesystem::path source(bench_.pictures()[picture].path);
    words.push_back(folder_ / source.filename().string());
  }
  return words;
}

std::unique_ptr<BackgroundProgram> FaultRun::start_agent(const std::vector<std::string>& words) {
  lines_.clear();
  agent_ended_ = false;
  return std::make_unique<BackgroundProgram>(words, agent_system_.environment(kPreloaded),
                                             folder_ / "agent.log");
}

bool FaultRun::read_line(seconds limit) {
  const std::string text = agent_->read_line(limit);
  if (text.empty()) {
    agent_ended_ = true;
    return false;
  }
  auto line = nlohmann::json::parse(text, nullptr, false);
  if (!line.is_object()) {
    judge_.complain("not a line of the agent's: " + text.substr(0, 300));
    return true;
  }
  lines_.push_back(std::move(line));
  return true;
}

void FaultRun::await(const Act& act) {
  while (!agent_ended_ && lines_.size() < act.after_records) (void)read_line(seconds(30));
  if (act.after_bytes == 0) return;
  relay_.hold_after(act.after_bytes);
  const auto latest =
      Clock::now() + (act.is_sure ? kLongestWaitForSureBytes : kLongestWaitForBytes);
  while (!relay_.is_holding() && agent_->is_running() && Clock::now() < latest) {
    std::this_thread::sleep_for(milliseconds(1));
  }
}

void FaultRun::perform(const Act& act) {
  const milliseconds pause(act.value);
  switch (act.kind) {
    case ActKind::kKillServer:
      return end_server(SIGKILL);
    case ActKind::kStartServer:
      return start_server(both_models());
    case ActKind::kEndServer:
      return end_server(SIGTERM);
    case ActKind::kPauseServer:
      if (server_ == nullptr) return;
      server_->signal(SIGSTOP);
      relay_.release();
      std::this_thread::sleep_for(pause);
      return server_->signal(SIGCONT);
    case ActKind::kServeOther:
      return start_server({bench_.other_model()});
    case ActKind::kLinkDown:
      relay_.refuse(true);
      return relay_.close_connections();
    case ActKind::kLinkUp:
      return mend_link();
    case ActKind::kStall:
      relay_.freeze(true);
      relay_.release();
      std::this_thread::sleep_for(pause);
      return relay_.freeze(false);
    case ActKind::kStrand:
      return relay_.strand_connections();
    case ActKind::kFlipUp:
      return relay_.flip_byte_at(act.value);
    case ActKind::kFlipDown:
      return relay_.flip_answer_at(act.value);
    case ActKind::kCutUp:
      return relay_.cut_after(act.value);
    case ActKind::kCutDown:
      return relay_.cut_answers_after(act.value);
    case ActKind::kSlowAnswers:
      return relay_.delay_answers(pause);
    case ActKind::kFillDisk:
      agent_system_.control().room_bytes = act.value;
      agent_system_.control().limited = 1;
      return;
    case ActKind::kFreeDisk:
      agent_system_.control().limited = 0;
      return;
    case ActKind::kJumpClock:
      agent_system_.control().wall_offset_ns += act.value * 1'000'000'000;
      server_system_.control().wall_offset_ns -= act.value * 1'000'000'000;
      return;
    case ActKind::kKillAgent:
      return agent_->signal(SIGKILL);
    case ActKind::kEndAgent:
      return agent_->signal(SIGTERM);
  }
}

void FaultRun::mend_link() {
  relay_.release();
  relay_.refuse(false);
  relay_.freeze(false);
  relay_.flip_byte_at(-1);
  relay_.flip_answer_at(-1);
  relay_.cut_after(-1);
  relay_.cut_answers_after(-1);
  relay_.delay_answers(milliseconds(0));
}

void FaultRun::mend() {
  mend_link();
  relay_.close_connections();
  agent_system_.control().limited = 0;
  if (plan_.is_over_tls) {
    // Whose date is wrong by years believes no certificate.
    agent_system_.control().wall_offset_ns = 0;
    server_system_.control().wall_offset_ns = 0;
  }
  if (server_ == nullptr || serves_other_) start_server(both_models());
}

// Whatever moment it is killed at, the folder has a version that runs.
void FaultRun::update_model(const Phase& phase) {
  mend();
  std::vector<std::string> words{agent_program(), "update",         "--model", model_,
                                 "--server",      relay_.address(), "--json"};
  if (plan_.is_over_tls) {
    words.insert(words.end(), bench_.agent_trust().begin(), bench_.agent_trust().end());
  }
  const auto program = start_agent(words);
  if (phase.kill_update_ms != 0) {
    std::this_thread::sleep_for(milliseconds(phase.kill_update_ms));
    program->signal(SIGKILL);
  }
  const int code = program->wait();
  if (code == 128 + SIGKILL) ++tally_.updates_killed;
  if (phase.kill_update_ms == 0 && code != 0) {
    judge_.complain("update ended with " + std::to_string(code));
  }
}

void FaultRun::end_agent(PhaseOutcome& outcome) {
  while (!agent_ended_) (void)read_line(seconds(30));
  outcome.exit_code = agent_->wait(seconds(20));
  agent_.reset();
  const bool hung = outcome.exit_code == 128 + SIGKILL && !outcome.was_killed;
  if (hung) judge_.complain("an agent hung");
  outcome.lines = std::move(lines_);
}

void FaultRun::run_phase(const Phase& phase) {
  if (phase.updates_model) update_model(phase);
  PhaseOutcome outcome;
  outcome.version = bench_.version_of(model_);
  outcome.offered = phase.pictures.size();
  agent_ = start_agent(agent_words(phase.pictures, kShortTimeout));
  for (const Act& act : phase.acts) {
    await(act);
    count(act);
    const pid_t server = server_ == nullptr ? 0 : server_->pid();
    perform(act);
    relay_.release();
    if (server_ != nullptr && server_->pid() == server) ++acts_outlived_;
    outcome.was_killed = outcome.was_killed || act.kind == ActKind::kKillAgent;
    outcome.was_told_to_end = outcome.was_told_to_end || act.kind == ActKind::kEndAgent;
  }
  end_agent(outcome);
  // A SIGTERM before the run has its handler ends it as any program.
  if (outcome.was_told_to_end && outcome.exit_code == 128 + SIGTERM) outcome.was_killed = true;
  // Each run is judged while its spool stands still.
  judge_.judge_run(outcome);
  if (!plan_.loses_sources) return;
  for (const unsigned picture : phase.pictures) {
    const std::filesystem::path source(bench_.pictures()[picture].path);
    std::filesystem::remove(folder_ / source.filename().string());
  }
}

std::vector<std::string> FaultRun::run() {
  prepare();
  start_server(both_models());
  for (const Phase& phase : plan_.phases) run_phase(phase);
  judge_living_server();
  mend();
  judge_server();
  end_server(SIGTERM);
  relay_.close_connections();
  for (const auto& server : ending_) {
    if (const int code = server->wait(); code != 0) {
      judge_.complain("a server that was told to end ended with " + std::to_string(code));
    }
  }
  ending_.clear();
  // Also of those that were killed later, whose exit codes do not tell.
  if (said().find("Sanitizer: ") != std::string::npos) judge_.complain("a sanitizer has a finding");
  count_effects();
  return judge_.complaints();
}

}  // namespace cleave::test
