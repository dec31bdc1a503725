// SPDX-License-Identifier: Apache-2.0
//
// One agent and one server that both live through fault after fault of the link between them, over
// TLS, and then the agent through servers that are killed, paused and ended: every answer is right,
// nothing is lost, and both hold what they held before.
//   CLEAVE_LONG_LIVED_FAULTS=500   so many faults of the link
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

#include "schemas/exit_code.h"
#include "tests/integration/faults/fault_bench.h"
#include "tests/support/process_figures.h"
#include "tests/support/program_words.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// Faults before the figures that the later ones are compared with: buffers and arenas grow to what
// the largest picture and the worst moment need.
constexpr unsigned kWarmUpFaults = kInstrumented ? 4 : 10;
constexpr unsigned kFaults = kInstrumented ? 8 : 30;
constexpr unsigned kServerFaults = kInstrumented ? 2 : 6;
constexpr unsigned kLinkFaultKinds = 9;
constexpr unsigned kFaultsForAllKinds = 30;  // of fewer not every kind is among them
// By chance of the allocator.
constexpr std::uint64_t kRoomBytes = kInstrumented ? kAnyRss : 3 << 20;

class LongLived {
 public:
  explicit LongLived(const FaultBench& bench) : bench_(bench) {
    relay_.keep_recording(false);
    start_server();
    start_agent();
  }

  // Each leaves as one that may.
  void end_agent();
  void check_server_ends();  // one that was told to
  // Some pictures while the link does what the seed's next number says.
  void meet_link_fault();
  // Likewise the server, which is another one afterwards.
  void meet_server_fault();
  // The link is sound, and pictures are given until the server has answered one and none waits.
  void settle();

  [[nodiscard]] ProcessFigures agent_figures() const { return process_figures(agent_->pid()); }
  [[nodiscard]] BackgroundProgram& server() { return server_->program(); }
  [[nodiscard]] const BackgroundProgram& agent() const { return *agent_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }
  [[nodiscard]] std::size_t spooled() const { return spooled_; }
  [[nodiscard]] TcpRelay::Spoils spoils() const { return relay_.spoils(); }

 private:
  // Kills the one that runs, if one does.
  void start_server();
  void start_agent();
  void give(std::size_t count);
  // Reads until as many pictures as were given have been told of.
  void hear();
  void take(const nlohmann::json& line);
  [[nodiscard]] std::string agent_log() const { return folder_ / "agent.log"; }

  const FaultBench& bench_;
  TemporaryFolder folder_;
  TcpRelay relay_{0};
  std::mt19937_64 random_{1};
  std::optional<RunningServer> server_;
  std::unique_ptr<BackgroundProgram> agent_;
  std::size_t next_ = 0, given_ = 0, told_ = 0, waiting_ = 0, spooled_ = 0;
  bool by_server_ = false;  // the last picture that was told of
};

void LongLived::start_server() {
  server_.reset();
  // Of the answers that are kept for those who ask again there are soon as many as there may be.
  server_.emplace(
      std::vector<std::string>{bench_.model(ModelVersion::kFirst)},
      bench_.server_trust() + std::vector<std::string>{"--no-cache", "--answers-bytes", "1"},
      folder_ / "server.log");
  relay_.forward_to(server_->port());
}

void LongLived::check_server_ends() {
  CHECK_MESSAGE(server().wait() == 0, read_whole(folder_ / "server.log"));
}

// It lives as long as names may come.
void LongLived::start_agent() {
  const auto words = words_for({.model = bench_.model(ModelVersion::kFirst),
                                .server = relay_.address(),
                                .folder = folder_.path().string(),
                                .sync = "never",
                                .timeout = "300ms",
                                .cap_bytes = bench_.tls_cap_bytes()});
  agent_ = std::make_unique<BackgroundProgram>(
      words + bench_.agent_trust() + std::vector<std::string>{"-"}, Environment{}, agent_log(),
      StandardInput::kPipe);
}

void LongLived::end_agent() {
  agent_->close_input();
  while (!agent_->read_line(seconds(60)).empty()) {
  }
  const int ended = agent_->wait();
  const bool is_orderly = ended == code(ExitCode::kOk) || ended == code(ExitCode::kPartial);
  CHECK_MESSAGE(is_orderly, ended, " ", read_whole(agent_log()));  // some pictures had to wait
}

// Small ones mostly; of each kind now and then.
void LongLived::give(std::size_t count) {
  const auto& pictures = bench_.pictures();
  for (std::size_t i = 0; i < count; ++i, ++next_) {
    const std::size_t picture = next_ % 8 == 0 ? next_ / 8 % pictures.size() : next_ % 6;
    REQUIRE_MESSAGE(agent_->write_line(pictures[picture].path), read_whole(agent_log()));
    ++given_;
  }
}

void LongLived::take(const nlohmann::json& line) {
  const std::string name = line.value("image", std::string());
  const auto& pictures = bench_.pictures();
  const auto picture = std::find_if(pictures.begin(), pictures.end(),
                                    [&](const BenchPicture& one) { return one.path == name; });
  REQUIRE_MESSAGE(picture != pictures.end(), line.dump());
  const bool is_drained = line.value("drained", false);
  if (is_drained) {
    REQUIRE(waiting_ > 0);
    --waiting_;
  } else {
    ++told_;
    by_server_ = line.contains("sent") && line.contains("scores");
  }
  if (line.contains("scores")) {
    CHECK_MESSAGE(line.at("scores") == picture->scores.at(ModelVersion::kFirst), name);
  } else if (line.value("spooled", false)) {
    ++waiting_;
    ++spooled_;
  } else {
    CHECK_MESSAGE(picture->is_damaged, line.dump().substr(0, 300));
  }
}

void LongLived::hear() {
  while (told_ < given_) {
    const auto line = nlohmann::json::parse(agent_->read_line(), nullptr, false);
    REQUIRE_MESSAGE(line.is_object(), "the agent fell silent: ", read_whole(agent_log()));
    take(line);
  }
}

void LongLived::meet_link_fault() {
  const auto any_of_first = [&](std::uint64_t bytes) {
    relay_.close_connections();  // the bytes are counted from where a connection begins
    return static_cast<std::int64_t>(random_() % bytes);
  };
  const milliseconds pause(50 + random_() % 250);
  const auto kind = random_() % kLinkFaultKinds;
  if (kind == 0) relay_.flip_byte_at(any_of_first(12'000));
  if (kind == 1) relay_.flip_answer_at(any_of_first(8'000));
  if (kind == 2) relay_.cut_after(any_of_first(12'000));
  if (kind == 3) relay_.cut_answers_after(any_of_first(8'000));
  if (kind == 4) relay_.hold_after(random_() % 8'000);
  give(3);
  if (kind == 4) std::this_thread::sleep_for(pause);
  if (kind == 5) relay_.close_connections();
  if (kind == 6) relay_.strand_connections();
  if (kind == 7) relay_.delay_answers(pause);
  if (kind == 8) {
    relay_.refuse(true);
    relay_.close_connections();
  }
  hear();
  settle();
}

void LongLived::meet_server_fault() {
  give(2);
  const auto kind = random_() % 3;
  server().signal(kind == 0 ? SIGKILL : kind == 1 ? SIGSTOP : SIGTERM);
  give(2);
  hear();
  relay_.close_connections();
  if (kind == 2) check_server_ends();
  start_server();
  settle();
}

void LongLived::settle() {
  relay_.release();
  relay_.refuse(false);
  relay_.flip_byte_at(-1);
  relay_.flip_answer_at(-1);
  relay_.cut_after(-1);
  relay_.cut_answers_after(-1);
  relay_.delay_answers(milliseconds(0));
  relay_.close_connections();
  const auto latest = Clock::now() + seconds(60);
  do {
    REQUIRE(Clock::now() < latest);
    if (waiting_ > 0) std::this_thread::sleep_for(milliseconds(50));
    give(1);
    hear();
  } while (!by_server_ || waiting_ > 0);
}

void check_nothing_grew(const char* who, pid_t pid, const ProcessFigures& before) {
  const ProcessFigures now = await_figures(pid, before, kRoomBytes);
  std::printf("%s: %.2f MB -> %.2f MB, %zu -> %zu descriptors\n", who,
              static_cast<double>(before.rss_bytes) / 1e6, static_cast<double>(now.rss_bytes) / 1e6,
              before.descriptors, now.descriptors);
  for (const std::string& grown : what_grew(who, before, now, kRoomBytes)) FAIL_CHECK(grown);
}

// Each kind that is done to bytes.
void check_faults_were_met(const TcpRelay::Spoils& spoils) {
  std::printf("flips up %u, down %u; cuts up %u, down %u; answers held back %u\n", spoils.flips_up,
              spoils.flips_down, spoils.cuts_up, spoils.cuts_down, spoils.delays);
  CHECK(spoils.flips_up > 0);
  CHECK(spoils.flips_down > 0);
  CHECK(spoils.cuts_up > 0);
  CHECK(spoils.cuts_down > 0);
  CHECK(spoils.delays > 0);
}

}  // namespace

TEST_CASE("an agent and a server that live through fault after fault hold what they held") {
  const char* const wanted = std::getenv("CLEAVE_LONG_LIVED_FAULTS");
  const unsigned faults =
      wanted == nullptr ? kFaults : static_cast<unsigned>(std::strtoul(wanted, nullptr, 10));
  FaultBench bench;
  bench.make_certificates();
  LongLived run(bench);
  run.settle();
  for (unsigned i = 0; i < kWarmUpFaults; ++i) run.meet_link_fault();
  const ProcessFigures agent = run.agent_figures();
  const ProcessFigures server = process_figures(run.server().pid());
  for (unsigned i = 0; i < faults; ++i) run.meet_link_fault();
  check_nothing_grew("agent", run.agent().pid(), agent);
  check_nothing_grew("server", run.server().pid(), server);
  if (faults >= kFaultsForAllKinds) check_faults_were_met(run.spoils());
  CHECK(run.spooled() > 0);
  for (unsigned i = 0; i < kServerFaults; ++i) run.meet_server_fault();
  check_nothing_grew("agent, after servers that failed", run.agent().pid(), agent);
  CHECK(run.waiting() == 0);
  run.server().signal(SIGTERM);  // with the agent's connection open
  run.end_agent();
  run.check_server_ends();
}

}  // namespace cleave::test
