// SPDX-License-Identifier: Apache-2.0
//
// Pictures that were accepted and have not ended yet, on the disk: agent/spool/spool_format.md.
// What ends a picture is not decided here but by the Ledger, which keeps the order of spool and
// result log. Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/spool/folder.h"
#include "agent/spool/spool_clock.h"
#include "agent/spool/spool_contents.h"
#include "agent/spool/sync_policy.h"
#include "agent/spool/write_budget.h"

namespace cleave::agent {

struct SpoolOptions {
  std::uint64_t limit_bytes = std::uint64_t{256} << 20;  // of all segments
  SyncPolicy sync;
  WriteBudget budget;
  // For ids and salts; null: the kernel's random numbers.
  std::function<std::uint64_t()> random;
};

inline constexpr std::uint64_t kSmallestSpoolLimitBytes = 1 << 20;
// Of the kernel's generator.
[[nodiscard]] std::uint64_t kernel_random();

class Spool {
 public:
  // Reads what is in the folder; writes nothing yet. `folder` and `time` must outlive the spool.
  // Errors: those of read_spool().
  static Result<std::unique_ptr<Spool>> open(Folder& folder, TimeSource& time,
                                             const SpoolOptions& options);

  [[nodiscard]] const SpoolFindings& findings() const { return contents_.findings; }
  // In the order of acceptance; entries stay where they are until released.
  [[nodiscard]] const std::map<std::uint64_t, PendingPicture>& pending() const {
    return contents_.pending;
  }
  [[nodiscard]] const PendingPicture* find(std::uint64_t request_id) {
    return contents_.find(request_id);
  }
  [[nodiscard]] std::uint64_t bytes() const { return contents_.bytes(); }
  [[nodiscard]] std::uint64_t limit_bytes() const { return options_.limit_bytes; }
  [[nodiscard]] std::uint64_t now_ns() const { return clock_.now().spool_ns; }
  // Of the write budget, now.
  [[nodiscard]] std::uint64_t spent_bytes() { return bucket_.level(now_ns()); }

  // A picture is accepted, under a request id of its own. Under `always` it is durable on return,
  // unless take_trouble() says otherwise.
  // Errors: kResourceExhausted (the limit, or the disk is full), kIo; nothing is then accepted.
  [[nodiscard]] Result<std::uint64_t> accept(const AcceptedBody& source);

  // Whether there is room for it within the limit.
  [[nodiscard]] bool may_accept(const AcceptedBody& source) const;
  // How many of these pending pictures, from the first on, must be released before there is;
  // nothing where all of them together are not enough. 0: a new segment is.
  [[nodiscard]] std::optional<std::size_t> releases_to_accept(
      const AcceptedBody& source, std::span<const std::uint64_t> request_ids);

  enum class Room { kYes, kOverLimit, kOverBudget, kNever };  // kNever: too large for any spool
  // Whether a payload of so many bytes may be kept now. Over both, it is kOverBudget: room in the
  // folder would be of no use.
  [[nodiscard]] Room room_for(std::uint64_t payload_bytes);
  // As releases_to_accept(), of a payload of so many bytes.
  [[nodiscard]] std::optional<std::size_t> releases_for(std::uint64_t payload_bytes,
                                                        std::span<const std::uint64_t> request_ids);
  // Whether so many bytes are within the write budget, now.
  [[nodiscard]] bool may_write(std::uint64_t bytes) {
    return bucket_.has_room_for(bytes, now_ns());
  }
  // Copies the payload of a pending picture that has none. REQUIRES: room_for() it.
  // Errors: as accept(); the picture stays pending as it was.
  [[nodiscard]] Status keep(std::uint64_t request_id, const PayloadHead& head,
                            std::span<const std::span<const std::byte>> parts);
  // The payload of a pending picture becomes another; the old one's bytes are needed no more once
  // this returns ok, and only then: whatever a loss of power leaves, the picture has one of the
  // two. REQUIRES: room_for() it and kMaxReplacedHeadBytes; the sync policy is not never, under
  // which nothing says that the new ones are there. Errors: as accept(), and kIo where it may or
  // may not be there: the picture keeps what it had until the next run looks.
  [[nodiscard]] Status replace(std::uint64_t request_id, const PayloadHead& head,
                               std::span<const std::span<const std::byte>> parts);
  // The bytes of a payload, checked. Errors: kNotFound, kIo, kCorrupt (damaged since).
  [[nodiscard]] Result<std::vector<std::byte>> payload(std::uint64_t request_id);

  // The picture has ended. Segments that nothing needs any more are removed. On an error the
  // picture is no longer pending in this process, but will be in the next, which finds its terminal
  // record.
  [[nodiscard]] Status release(std::uint64_t request_id);
  // What follows goes to a new segment, so that the one before can be removed once nothing needs
  // it. Errors: as accept().
  [[nodiscard]] Status begin_segment();

  // Why something that was to be durable may not be, since the last call; ok when all is.
  [[nodiscard]] Status take_trouble();
  // All that was written is durable. Errors: kIo.
  [[nodiscard]] Status sync();
  // The run ends in order.
  [[nodiscard]] Status close();
  // Counts bytes that went elsewhere on the same disk against the write budget.
  void charge(std::uint64_t bytes) { bucket_.add(bytes, now_ns()); }
  [[nodiscard]] std::uint64_t random() const { return options_.random(); }

 private:
  struct Active {
    std::uint64_t number = 0;
    std::unique_ptr<AppendFile> file;
    bool dirty = false;
  };

  Spool(Folder& folder, TimeSource& time, const SpoolOptions& options, SpoolContents contents);
  Status append(SpoolRecordType type, std::uint64_t request_id, std::span<const std::byte> body);
  Status append_parts(SpoolRecordType type, std::uint64_t request_id,
                      std::span<const std::span<const std::byte>> body);
  Result<PayloadPlace> append_payload(SpoolRecordType type, std::uint64_t request_id,
                                      const PayloadHead& head, std::span<const std::byte> body_head,
                                      std::span<const std::span<const std::byte>> parts);
  std::optional<std::size_t> releases_until(std::uint64_t more_bytes, std::uint64_t bound_bytes,
                                            std::span<const std::uint64_t> request_ids);
  void settle_replacements();
  Status seal();
  Status open_segment();
  Status write_all(std::span<const std::span<const std::byte>> parts);
  void commit();
  void abandon_segment();
  void remove_unneeded();
  void note_in_active(PendingPicture& picture);

  Folder& folder_;
  SpoolOptions options_;
  SpoolContents contents_;
  TimeReading opened_;
  SpoolClock clock_;
  WriteBucket bucket_;
  std::optional<Active> active_;
  bool names_dirty_ = false;
  Status trouble_;
};

}  // namespace cleave::agent
