// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/faults/fault_plan.h"

#include <algorithm>
#include <array>
#include <random>

namespace cleave::test {
namespace {

constexpr std::array<const char*, kActKinds> kNames{
    "kill server", "start server", "end server", "pause server", "serve another model",
    "link down",   "link up",      "stall",      "strand",       "flip up",
    "flip down",   "cut up",       "cut down",   "slow answers", "fill disk",
    "free disk",   "jump clock",   "kill agent", "end agent"};

// Bytes of the handshakes. What follows them has no checksum of its own on a plain link: a byte
// that is flipped there is another picture or another answer, and only TLS tells.
constexpr std::uint64_t kHelloBytes = 150;
constexpr std::uint64_t kWelcomeBytes = 300;
// Over TLS any byte: its handshake and ours, or as far as several activations and answers.
constexpr std::uint64_t kTlsHandshakeBytes = 3'000;
constexpr std::uint64_t kTlsBytesUp = 30'000, kTlsBytesDown = 12'000;
// A run with one picture sends as many, on a link of either kind.
constexpr std::uint64_t kSureBytes = 4'000;

constexpr unsigned kSmallPictures = 6;
constexpr unsigned kPngPicture = 6, kDamagedPicture = 7, kFirstLargePicture = 8, kLargePictures = 3;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15u + 1) {}
  // 0..count-1. Not by a distribution of the library: they differ.
  std::uint64_t below(std::uint64_t count) { return random_() % count; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  template <std::size_t N>
  const char* any(const std::array<const char*, N>& of) {
    return of[below(N)];
  }

 private:
  std::mt19937_64 random_;
};

std::int64_t flipped_byte(bool up, bool over_tls, Dice& dice) {
  std::uint64_t most = up ? kHelloBytes : kWelcomeBytes;
  if (over_tls) most = up ? kTlsBytesUp : kTlsBytesDown;
  if (over_tls && dice.one_in(2)) most = kTlsHandshakeBytes;
  return static_cast<std::int64_t>(dice.below(most));
}

std::int64_t value_of(ActKind kind, bool over_tls, Dice& dice) {
  constexpr std::int64_t kDay = 24 * 3600;
  switch (kind) {
    case ActKind::kPauseServer:
    case ActKind::kStall:
      return static_cast<std::int64_t>(50 + dice.below(500));
    case ActKind::kSlowAnswers:
      return static_cast<std::int64_t>(20 + dice.below(400));
    case ActKind::kFlipUp:
    case ActKind::kFlipDown:
      return flipped_byte(kind == ActKind::kFlipUp, over_tls, dice);
    case ActKind::kCutUp:
    case ActKind::kCutDown:
      return static_cast<std::int64_t>(dice.one_in(2) ? dice.below(400) : dice.below(60'000));
    case ActKind::kFillDisk:
      return static_cast<std::int64_t>(dice.one_in(2) ? 0 : dice.below(40'000));
    case ActKind::kJumpClock:
      return (dice.one_in(2) ? 1 : -1) * static_cast<std::int64_t>(1 + dice.below(3650)) * kDay;
    default:
      return 0;
  }
}

Act make_act(ActKind kind, bool over_tls, unsigned pictures, Dice& dice) {
  Act act{.kind = kind,
          .after_records = static_cast<unsigned>(dice.below(pictures + 1)),
          .after_bytes = 0,
          .value = value_of(kind, over_tls, dice)};
  if (dice.one_in(2)) act.after_bytes = 1 + dice.below(20'000);
  return act;
}

// An act that cannot come too late: the agent is in the middle of what it sends first.
Act make_sure_act(ActKind kind, bool over_tls, Dice& dice) {
  Act act{.kind = kind,
          .after_records = 0,
          .after_bytes = 1 + dice.below(kSureBytes),
          .value = value_of(kind, over_tls, dice),
          .is_sure = true};
  constexpr auto kMost = static_cast<std::int64_t>(kSureBytes);
  switch (kind) {
    case ActKind::kFlipUp:
    case ActKind::kFlipDown:
      act.value = std::max<std::int64_t>(act.value % kMost, 1);
      act.after_bytes = 1;
      break;
    case ActKind::kCutUp:
    case ActKind::kCutDown:
      act.value = std::min(act.value, kMost);
      act.after_bytes = 1;
      break;
    case ActKind::kFillDisk:
      act.value = 0;
      break;
    default:
      break;
  }
  return act;
}

// What was broken is often mended within the run, so that the agent is seen to find its way back.
void maybe_mend(const Act& broken, std::vector<Act>& acts, unsigned pictures, Dice& dice) {
  ActKind mending{};
  switch (broken.kind) {
    case ActKind::kKillServer:
    case ActKind::kEndServer:
    case ActKind::kServeOther:
      mending = ActKind::kStartServer;
      break;
    case ActKind::kLinkDown:
    case ActKind::kStrand:
    case ActKind::kCutUp:
    case ActKind::kCutDown:
    case ActKind::kFlipUp:
    case ActKind::kFlipDown:
      mending = ActKind::kLinkUp;
      break;
    case ActKind::kFillDisk:
      mending = ActKind::kFreeDisk;
      break;
    default:
      return;
  }
  if (dice.one_in(3)) return;
  Act act = make_act(mending, /*over_tls=*/false, pictures, dice);
  const unsigned first = broken.is_sure ? 1 : broken.after_records;
  act.after_records = std::max(act.after_records, first);
  act.after_bytes = 0;
  acts.push_back(act);
}

std::vector<unsigned> choose_pictures(const FaultPlan& plan, Dice& dice) {
  std::vector<unsigned> chosen;
  const unsigned count = 2 + static_cast<unsigned>(dice.below(4));
  for (unsigned i = 0; i < count; ++i) {
    unsigned picture = static_cast<unsigned>(dice.below(kSmallPictures));
    if (plan.small_spool && !dice.one_in(3)) {
      picture = kFirstLargePicture + static_cast<unsigned>(dice.below(kLargePictures));
    } else if (dice.one_in(10)) {
      picture = dice.one_in(2) ? kPngPicture : kDamagedPicture;
    }
    chosen.push_back(picture);
  }
  return chosen;
}

// Of a file that went after an earlier run, nobody can ask for an answer.
void leave_out_gone(const FaultPlan& plan, std::vector<unsigned>& pictures) {
  if (!plan.loses_sources) return;
  std::erase_if(pictures, [&](unsigned picture) {
    return std::ranges::any_of(plan.phases, [&](const Phase& earlier) {
      return std::ranges::find(earlier.pictures, picture) != earlier.pictures.end();
    });
  });
}

// Whether the act that leads in this seed has to meet a run that is under way: in every second
// round of the kinds, so that each of them does within 40 seeds.
bool leads_surely(std::uint64_t seed) { return seed / kActKinds % 2 == 0; }

void choose_settings(FaultPlan& plan, Dice& dice) {
  const auto leading = static_cast<ActKind>(plan.seed % kActKinds);
  const bool flips = leading == ActKind::kFlipUp || leading == ActKind::kFlipDown;
  plan.is_over_tls = dice.one_in(3) || (flips && leads_surely(plan.seed));
  plan.is_capped = !dice.one_in(3);
  plan.split = dice.any(std::to_array({"0", "1", "3", "4"}));
  // A planned split may be one that sends nothing.
  if (!plan.is_capped && dice.one_in(4) && !leads_surely(plan.seed)) plan.split = "auto";
  plan.has_spool = !dice.one_in(6);
  plan.small_spool = plan.has_spool && dice.one_in(5);
  plan.has_budget = plan.has_spool && dice.one_in(6);
  plan.expires = plan.has_spool && dice.one_in(10);
  plan.loses_sources = dice.one_in(3);
  plan.full_cache_disk = dice.one_in(5);
  plan.full = dice.any(std::to_array({"drop-oldest", "drop-newest"}));
  plan.sync = dice.any(std::to_array({"always", "interval:50ms", "never"}));
  plan.codec = dice.any(std::to_array({"raw", "lossless"}));
  plan.uplink = dice.any(std::to_array({"", "", "8mbit", "30mbit"}));
  plan.interrupt_each = dice.one_in(4) ? 2 + static_cast<unsigned>(dice.below(5)) : 0;
}

void add_acts(const FaultPlan& plan, Phase& phase, bool is_first, Dice& dice) {
  const auto pictures = static_cast<unsigned>(phase.pictures.size());
  const bool leads = is_first && leads_surely(plan.seed);
  const std::uint64_t acts = (is_first ? 1 : 0) + dice.below(3);
  for (std::uint64_t i = 0; i < acts; ++i) {
    const std::uint64_t number = is_first && i == 0 ? plan.seed : dice.below(kActKinds);
    const auto kind = static_cast<ActKind>(number % kActKinds);
    if (leads && i == 0) {
      phase.acts.push_back(make_sure_act(kind, plan.is_over_tls, dice));
    } else {
      phase.acts.push_back(make_act(kind, plan.is_over_tls, pictures, dice));
      unsigned& after = phase.acts.back().after_records;
      if (leads) after = std::max(after, 1U);  // the other has come by then
    }
    maybe_mend(phase.acts.back(), phase.acts, pictures, dice);
  }
  std::ranges::stable_sort(phase.acts, {}, &Act::after_records);
}

}  // namespace

const char* name_of(ActKind kind) { return kNames[static_cast<unsigned>(kind)]; }

bool FaultPlan::does(ActKind kind) const {
  return std::ranges::any_of(phases, [&](const Phase& phase) {
    return std::ranges::any_of(phase.acts, [&](const Act& act) { return act.kind == kind; });
  });
}

bool FaultPlan::updates_model() const {
  return std::ranges::any_of(phases, [](const Phase& phase) { return phase.updates_model; });
}

// Each kind of act leads in one seed of kActKinds, and others join it.
FaultPlan make_fault_plan(std::uint64_t seed) {
  Dice dice(seed);
  FaultPlan plan;
  plan.seed = seed;
  choose_settings(plan, dice);
  const bool updates = dice.one_in(6);
  const std::uint64_t phases = 1 + dice.below(3);
  for (std::uint64_t i = 0; i < phases; ++i) {
    Phase phase;
    phase.pictures = choose_pictures(plan, dice);
    leave_out_gone(plan, phase.pictures);
    if (phase.pictures.empty()) break;
    phase.updates_model = updates && i + 1 == phases;
    if (phase.updates_model && dice.one_in(2)) {
      phase.kill_update_ms = 1 + static_cast<unsigned>(dice.below(60));
    }
    add_acts(plan, phase, i == 0, dice);
    plan.phases.push_back(std::move(phase));
  }
  return plan;
}

std::string to_string(const Act& act) {
  std::string text = name_of(act.kind);
  if (act.value != 0) text += " (" + std::to_string(act.value) + ")";
  text += " after " + std::to_string(act.after_records) + " records";
  if (act.after_bytes != 0) text += " and " + std::to_string(act.after_bytes) + " bytes";
  return text;
}

std::string to_string(const FaultPlan& plan) {
  std::string text = "seed " + std::to_string(plan.seed) + ": split " + plan.split + ", " +
                     plan.codec + ", sync " + plan.sync;
  if (plan.is_over_tls) text += ", TLS";
  if (plan.is_capped) text += ", capped";
  if (!plan.has_spool) text += ", no spool";
  if (plan.small_spool) text += ", small spool, " + plan.full;
  if (plan.has_budget) text += ", write budget";
  if (plan.expires) text += ", expires";
  if (plan.loses_sources) text += ", sources go";
  if (plan.full_cache_disk) text += ", no room for the server's cache";
  if (!plan.uplink.empty()) text += ", uplink " + plan.uplink;
  if (plan.interrupt_each != 0) text += ", EINTR 1/" + std::to_string(plan.interrupt_each);
  for (const Phase& phase : plan.phases) {
    text += "\n  run of pictures";
    for (const unsigned picture : phase.pictures) text += " " + std::to_string(picture);
    if (phase.updates_model) text += ", after an update";
    if (phase.kill_update_ms != 0) {
      text += " killed after " + std::to_string(phase.kill_update_ms) + " ms";
    }
    for (const Act& act : phase.acts) text += "\n    " + to_string(act);
  }
  return text;
}

}  // namespace cleave::test
