// SPDX-License-Identifier: Apache-2.0
//
// Keeps the promise that each accepted picture ends in exactly one terminal record, whatever ends
// the process or the power in between: the order of spool and result log. The terminal record is
// appended, made durable as the sync policy says, and only then is the picture released from the
// spool; a next run that finds a pending picture's record in the log releases it.
//
//   accept() -> [keep() its bytes when nobody can answer now, keep_less() when again nobody can]
//            -> answered() or dropped()
//
// Without a spool the log alone is kept: what a crash interrupts then has no record. Used by one
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/spool/result_log.h"
#include "agent/spool/spool.h"

namespace cleave::agent {

// Why a picture ended without an answer, as the log has it.
inline constexpr const char* kDroppedExpired = "expired";       // older than the spool's TTL
inline constexpr const char* kDroppedSpoolFull = "spool_full";  // no room: its limit, or the disk's
inline constexpr const char* kDroppedSourceGone =
    "source_gone";                                         // no copy, and the file is another
inline constexpr const char* kDroppedDamaged = "damaged";  // its copy no longer checks
inline constexpr const char* kDroppedModelChanged =
    "model_changed";                                             // an activation of another model
inline constexpr const char* kDroppedUnanswered = "unanswered";  // no server, and no spool
inline constexpr const char* kDroppedQueueFull = "queue_full";   // it came faster than it was taken
inline constexpr const char* kDroppedRefused = "refused";        // it cannot be used as a picture

inline constexpr std::array kDropReasons = {
    kDroppedExpired,      kDroppedSpoolFull,  kDroppedSourceGone, kDroppedDamaged,
    kDroppedModelChanged, kDroppedUnanswered, kDroppedQueueFull,  kDroppedRefused};

enum class SpoolFull : std::uint8_t { kDropOldest, kDropNewest };

struct LedgerOptions {
  SpoolOptions spool;  // its sync policy is also the log's
  std::uint64_t ttl_ns = std::uint64_t{7} * 24 * 3600 * 1'000'000'000;
  SpoolFull full = SpoolFull::kDropOldest;
};

struct LedgerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t unprotected = 0;   // of them, that there is a spool for and that it could not take
  std::uint64_t copied_files = 0;  // into the spool
  std::uint64_t copied_activations = 0;
  std::uint64_t replaced = 0;      // of copied_activations, in the place of a copied file
  std::uint64_t copied_bytes = 0;  // of all of them
  std::uint64_t by_reference = 0;  // left to their files, as the write budget is used up
  std::uint64_t answered = 0;
  std::map<std::string, std::uint64_t> dropped;  // by reason
  std::uint64_t recovered = 0;                   // pending when the run began
  std::uint64_t already_ended = 0;               // of them, that had their record
  std::uint64_t sync_failures = 0;
  // Found when the run began, as power cuts, bad disks and other hands leave it.
  std::uint64_t spool_damaged_bytes = 0;     // that do not check: what they were is lost
  std::uint64_t spool_strange_segments = 0;  // that this version does not read; left alone
  std::uint64_t results_cut_bytes = 0;       // behind the last line that checks, taken away
  std::uint64_t results_damaged_lines = 0;   // before it, of those that were read; left as they are
};

struct LedgerCounter {
  std::string_view name;
  std::uint64_t LedgerCounts::*value;
};
// All of them but `dropped` and kDamageCounters, by the names that reports use.
inline constexpr auto kLedgerCounters = std::to_array<LedgerCounter>({
    {"accepted", &LedgerCounts::accepted},
    {"unprotected", &LedgerCounts::unprotected},
    {"copied_files", &LedgerCounts::copied_files},
    {"copied_activations", &LedgerCounts::copied_activations},
    {"replaced", &LedgerCounts::replaced},
    {"copied_bytes", &LedgerCounts::copied_bytes},
    {"by_reference", &LedgerCounts::by_reference},
    {"answered", &LedgerCounts::answered},
    {"recovered", &LedgerCounts::recovered},
    {"already_ended", &LedgerCounts::already_ended},
    {"sync_failures", &LedgerCounts::sync_failures},
});
// All are 0 where nothing was lost and all that is there can be used.
inline constexpr auto kDamageCounters = std::to_array<LedgerCounter>({
    {"spool_damaged_bytes", &LedgerCounts::spool_damaged_bytes},
    {"spool_strange_segments", &LedgerCounts::spool_strange_segments},
    {"results_cut_bytes", &LedgerCounts::results_cut_bytes},
    {"results_damaged_lines", &LedgerCounts::results_damaged_lines},
});
// A counter that is added and not listed is one that nobody sees.
static_assert(sizeof(LedgerCounts) ==
              (kLedgerCounters.size() + kDamageCounters.size()) * sizeof(std::uint64_t) +
                  sizeof(std::map<std::string, std::uint64_t>));

// A picture that was dropped while nobody had it in work.
struct Dropped {
  std::uint64_t request_id = 0;
  std::string name;
  std::string reason;
};

class Ledger {
 public:
  // `spool_folder` may be null. The folders, `time` and `on_drop` must outlive the ledger.
  // Errors: those of Spool::open() and ResultLog::open().
  static Result<std::unique_ptr<Ledger>> open(Folder* spool_folder, Folder& results_folder,
                                              const std::string& results_name, TimeSource& time,
                                              const LedgerOptions& options,
                                              std::function<void(const Dropped&)> on_drop);

  // A picture is accepted; in a spool that is full, older ones are dropped for it as in keep(). It
  // has an id even where the spool cannot take it; take_trouble() then says why.
  [[nodiscard]] std::uint64_t accept(AcceptedBody source);
  // One that nobody will take into work is accepted and ends; no other is dropped for it.
  void accept_and_drop(const AcceptedBody& source, const char* reason);

  // kNoRoom: over the spool's limit, or it could not take the picture when it was accepted;
  // kNotSpooled: there is no spool.
  enum class Kept { kCopied, kByReference, kNoRoom, kNotSpooled };
  // Nobody can answer this picture now: its bytes go to the spool, and older ones are dropped for
  // them where LedgerOptions::full says so: as few as make room, and none where that would make
  // none. Over the write budget it stays pending and its file is all there is of it. After kNoRoom
  // and kNotSpooled nothing was written: the caller drops it.
  [[nodiscard]] Kept keep(std::uint64_t request_id, const PayloadHead& head,
                          std::span<const std::span<const std::byte>> parts);

  // A picture that waited could not be answered again, and `parts` are the least that it can wait
  // as. They are written where that is worth it: the spool holds no copy, and has room for one; or
  // it holds the file, these are an activation, and the file's copy has at least twice the bytes
  // that are written, while room and write budget would do for twice as much: what is accepted next
  // comes first. Never under --sync never, when a loss of power could take both. Else, and where
  // the disk does not take it, the picture waits as it did.
  void keep_less(std::uint64_t request_id, const PayloadHead& head,
                 std::span<const std::span<const std::byte>> parts);
  // A picture that is pending; null when it is not. Until the next call that changes it.
  [[nodiscard]] const PendingPicture* find(std::uint64_t request_id) {
    return spool_ ? spool_->find(request_id) : nullptr;
  }

  // The terminal record. `fields` as in result_line(), without "state". REQUIRES: this id has
  // none yet. Errors: it could not be written or made durable (kIo,
  // kResourceExhausted); where there is a spool the picture then is pending for the next run.
  [[nodiscard]] Status answered(std::uint64_t request_id, std::string_view fields);
  [[nodiscard]] Status dropped(std::uint64_t request_id, std::string_view reason,
                               std::string_view fields);

  // Likewise of a picture that nobody has in work; `on_drop` is told, take_trouble() of errors.
  void drop(std::uint64_t request_id, const std::string& name, const char* reason);

  // The oldest picture that is pending and for which nothing was decided in this run yet; null when
  // there is none. REQUIRES: until it has ended or is passed over no other is accepted or kept,
  // which might drop it. Those that are over their TTL are dropped on the way.
  [[nodiscard]] const PendingPicture* next();
  // next() goes on behind this one: it is tried again when next() begins anew.
  void pass_over(std::uint64_t request_id) { passed_.insert(request_id); }
  void begin_anew() { passed_.clear(); }
  [[nodiscard]] Result<std::vector<std::byte>> payload(std::uint64_t request_id);

  // Pictures that are pending and not in work.
  [[nodiscard]] std::uint64_t waiting() const;
  // Of them, those that wait as an activation.
  [[nodiscard]] std::uint64_t waiting_activations() const;
  [[nodiscard]] std::uint64_t spool_bytes() const { return spool_ ? spool_->bytes() : 0; }

  // Under --sync interval: syncs when it is time. To be called at least as often as sync_due_ns()
  // says, from now; UINT64_MAX: nothing is waiting.
  void tick();
  [[nodiscard]] std::uint64_t sync_due_ns() const;

  // The run ends in order. Errors: not all could be made durable.
  [[nodiscard]] Status close();

  [[nodiscard]] const LedgerCounts& counts() const { return counts_; }
  [[nodiscard]] const ResultLogFindings& log_findings() const { return log_->findings(); }
  [[nodiscard]] const SpoolFindings* spool_findings() const {
    return spool_ ? &spool_->findings() : nullptr;
  }
  // The last thing that spool or log could not do, once; ok when there was none since.
  [[nodiscard]] Status take_trouble();

 private:
  Ledger(TimeSource& time, const LedgerOptions& options,
         std::function<void(const Dropped&)> on_drop)
      : time_(time), options_(options), on_drop_(std::move(on_drop)) {}
  void count_damage();
  Status recover(Folder* spool_folder, Folder& results_folder, const std::string& results_name);
  std::uint64_t accept_where_room(AcceptedBody source);
  Status finish(std::uint64_t request_id, std::string_view fields);
  // Of pictures that wait and have not ended, but this one; the oldest first.
  [[nodiscard]] std::vector<std::uint64_t> oldest_first(std::uint64_t but_request_id) const;
  [[nodiscard]] bool may_write_ends(std::size_t pictures, std::uint64_t payload_bytes);
  void drop_oldest(std::span<const std::uint64_t> request_ids);
  void make_room_to_accept(const AcceptedBody& source);
  Spool::Room make_room(std::uint64_t request_id, std::uint64_t payload_bytes);
  [[nodiscard]] bool is_worth_replacing(const PendingPicture& picture, const PayloadHead& head,
                                        std::uint64_t bytes);
  Status copy(std::uint64_t request_id, const PayloadHead& head,
              std::span<const std::span<const std::byte>> parts, bool replaces);
  Status sync();
  void release(std::uint64_t request_id);
  void note(const Status& status);
  void note_dirty();
  [[nodiscard]] std::uint64_t monotonic_ns() const { return time_.now().boot_ns; }

  TimeSource& time_;
  const LedgerOptions options_;
  std::function<void(const Dropped&)> on_drop_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<ResultLog> log_;
  std::vector<std::uint64_t> to_release_;  // their records wait for a sync
  std::set<std::uint64_t> ended_;          // in this run, and still pending in the spool
  std::set<std::uint64_t> in_work_;        // accepted in this run and not kept
  std::set<std::uint64_t> passed_;
  std::uint64_t dirty_since_ns_ = 0;  // 0: nothing waits for a sync
  LedgerCounts counts_;
  Status trouble_;
};

}  // namespace cleave::agent
