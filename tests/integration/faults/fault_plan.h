// SPDX-License-Identifier: Apache-2.0
//
// What one seed of the fault suite does to an agent and its server, decided beforehand and from the
// seed alone: the same seed, the same acts, on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cleave::test {

enum class ActKind : std::uint8_t {
  kKillServer,
  kStartServer,  // kills the one that runs, if one does
  kEndServer,    // SIGTERM
  kPauseServer,  // for `value` ms
  kServeOther,   // another model alone, instead of the agent's
  kLinkDown,
  kLinkUp,
  kStall,        // for `value` ms nothing passes
  kStrand,       // the connections there are become half-open
  kFlipUp,       // of every connection to come, the byte at `value` of the agent's
  kFlipDown,     // likewise of the server's
  kCutUp,        // every connection after `value` bytes of the agent's
  kCutDown,      // likewise of the server's
  kSlowAnswers,  // by `value` ms
  kFillDisk,     // the agent's, but for `value` bytes
  kFreeDisk,
  kJumpClock,  // the dates of both machines, by `value` s
  kKillAgent,
  kEndAgent,  // SIGTERM
};
inline constexpr unsigned kActKinds = 19;

struct Act {
  ActKind kind{};
  unsigned after_records = 0;     // that this run of the agent printed
  std::uint64_t after_bytes = 0;  // and then so many that it sent; the link waits there for the act
  std::int64_t value = 0;
  bool is_sure = false;  // these bytes do come
};

// One run of the agent.
struct Phase {
  std::vector<unsigned> pictures;  // FaultBench::pictures()
  bool updates_model = false;      // before the run, `cleave-agent update`
  unsigned kill_update_ms = 0;     // and kills it after so long; 0: lets it end
  std::vector<Act> acts;           // in this order
};

struct FaultPlan {
  std::uint64_t seed = 0;
  std::string split;                 // --split
  bool is_over_tls = false;          // with certificates on both sides; else plain TCP
  bool is_capped = false;            // the device cannot finish alone
  bool has_spool = false;            // else --results alone
  bool small_spool = false;          // --spool-limit 1MiB, and large pictures
  bool has_budget = false;           // a small --write-budget
  bool expires = false;              // --spool-ttl 1ms
  bool loses_sources = false;        // the pictures' files go after each run
  bool full_cache_disk = false;      // the server's weight cache has no room
  std::string full = "drop-oldest";  // --spool-full
  std::string sync = "always";       // --sync
  std::string codec = "raw";         // --codec, an exact one
  std::string uplink;                // --uplink-limit, or empty
  unsigned interrupt_each = 0;       // of the agent's calls on files, one in so many says EINTR
  std::vector<Phase> phases;

  [[nodiscard]] bool does(ActKind kind) const;
  [[nodiscard]] bool updates_model() const;
};

FaultPlan make_fault_plan(std::uint64_t seed);
[[nodiscard]] const char* name_of(ActKind kind);
// For who reads of a failure.
std::string to_string(const Act& act);
std::string to_string(const FaultPlan& plan);

}  // namespace cleave::test
