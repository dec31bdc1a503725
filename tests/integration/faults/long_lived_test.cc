// SPDX-License-Identifier: Apache-2.0
//
// One agent and one server that both live through fault after fault of the link between them, over
// TLS, and then the agent through servers that are killed, paused and ended: every answer is right,
// nothing is lost, and both hold what they held before.
//   CLEAVE_LONG_LIVED_FAULTS=500   so many faults of the link
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "tests/integration/faults/fault_bench.h"
#include "tests/support/process_figures.h"
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
// By chance of the allocator.
constexpr std::uint64_t kRoomBytes = kInstrumented ? kAnyRss : 3 << 20;

class LongLived {
 public:
  explicit LongLived(const FaultBench& bench) : bench_(bench) {
    relay_.keep_recording(false);
    start_server();
    start_agent();
  }
  ~LongLived() {
    agent_.reset();
    server_.reset();
  }

  void start_server();
  void end_agent();
  // Some pictures while the link does what the seed's next number says.
  void meet_link_fault();
  // Likewise the server, which is another one afterwards.
  void meet_server_fault();
  // The link is sound, and pictures are given until the server has answered one and none waits.
  void settle();

  [[nodiscard]] ProcessFigures agent_figures() const { return process_figures(agent_->pid()); }
  [[nodiscard]] BackgroundProgram& server() { return *server_; }
  [[nodiscard]] const BackgroundProgram& agent() const { return *agent_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }
  [[nodiscard]] std::size_t spooled() const { return spooled_; }
  [[nodiscard]] unsigned connections() const { return relay_.connections(); }

 private:
  void start_agent();
  void give(std::size_t count);
  // Reads until as many pictures as were given have been told of.
  void hear();
  void take(const nlohmann::json& line);

  const FaultBench& bench_;
  TemporaryFolder folder_;
  TcpRelay relay_{0};
  std::mt19937_64 random_{1};
  std::unique_ptr<BackgroundProgram> server_, agent_;
  std::ofstream names_;
  std::size_t next_ = 0, given_ = 0, told_ = 0, waiting_ = 0, spooled_ = 0;
  bool by_server_ = false;  // the last picture that was told of
};

void LongLived::start_server() {
  server_.reset();
  std::vector<std::string> words{server_program(),
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--json",
                                 "--no-cache",
                                 "--model",
                                 bench_.model(ModelVersion::kFirst),
                                 "--log-level",
                                 "error",
                                 "--answers-bytes",  // kept for those who ask again: full soon
                                 "1"};
  words.insert(words.end(), bench_.server_trust().begin(), bench_.server_trust().end());
  server_ = std::make_unique<BackgroundProgram>(words);
  const auto line = nlohmann::json::parse(server_->read_line(), nullptr, false);
  REQUIRE(line.is_object());
  const std::string address = line.at("address");
  relay_.forward_to(static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1))));
}

// It lives as long as names may come.
void LongLived::start_agent() {
  const std::string fifo = folder_ / "names";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  std::vector<std::string> words{"sh",
                                 "-c",
                                 "exec \"$@\" <\"$0\"",
                                 fifo,
                                 agent_program(),
                                 "run",
                                 "--model",
                                 bench_.model(ModelVersion::kFirst),
                                 "--no-cache",
                                 "--server",
                                 relay_.address(),
                                 "--split",
                                 "3",
                                 "--ram",
                                 std::to_string(bench_.tls_cap_bytes()),
                                 "--spool",
                                 folder_ / "spool",
                                 "--results",
                                 folder_ / "results.jsonl",
                                 "--sync",
                                 "never",
                                 "--timeout",
                                 "300ms",
                                 "--json",
                                 "--scores"};
  words.insert(words.end(), bench_.agent_trust().begin(), bench_.agent_trust().end());
  words.emplace_back("-");
  agent_ = std::make_unique<BackgroundProgram>(words, Environment{}, folder_ / "agent.log");
  names_.open(fifo);
}

void LongLived::end_agent() {
  names_.close();
  while (!agent_->read_line(seconds(60)).empty()) {
  }
  // Some pictures had to wait: 12.
  const int code = agent_->wait();
  CHECK((code == 0 || code == 12));
}

// Small ones mostly; of each kind now and then.
void LongLived::give(std::size_t count) {
  const auto& pictures = bench_.pictures();
  for (std::size_t i = 0; i < count; ++i, ++next_) {
    const std::size_t picture = next_ % 8 == 0 ? next_ / 8 % pictures.size() : next_ % 6;
    names_ << pictures[picture].path << std::endl;
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
    REQUIRE_MESSAGE(line.is_object(), "the agent fell silent");
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
  switch (random_() % 3) {
    case 0:
      server_->signal(SIGKILL);
      break;
    case 1:
      server_->signal(SIGSTOP);
      break;
    default:
      server_->signal(SIGTERM);
      break;
  }
  give(2);
  hear();
  relay_.close_connections();
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
  const unsigned connections = run.connections();
  for (unsigned i = 0; i < faults; ++i) run.meet_link_fault();
  check_nothing_grew("agent", run.agent().pid(), agent);
  check_nothing_grew("server", run.server().pid(), server);
  CHECK(run.connections() > connections + faults);  // each of them was met
  CHECK(run.spooled() > 0);
  for (unsigned i = 0; i < kServerFaults; ++i) run.meet_server_fault();
  check_nothing_grew("agent, after servers that failed", run.agent().pid(), agent);
  CHECK(run.waiting() == 0);
  run.server().signal(SIGTERM);
  run.end_agent();
  CHECK(run.server().wait() == 0);
}

}  // namespace cleave::test
