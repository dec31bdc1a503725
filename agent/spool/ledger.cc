// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

std::string state_fields(std::string_view state, std::string_view fields) {
  std::string all = "\"state\":\"";
  all += state;
  all += '"';
  if (!fields.empty()) all += ',';
  all += fields;
  return all;
}

// Of the write budget, about, for one picture's end: its line of the log and its release.
constexpr std::uint64_t kEndBytes = 512;
// At most, as a rule: of log, segments and names when some segments give way to a new one.
constexpr std::uint64_t kSyncsForRoom = 12;

std::uint64_t total_bytes(std::span<const std::span<const std::byte>> parts) {
  std::uint64_t bytes = 0;
  for (const auto& part : parts) bytes += part.size();
  return bytes;
}

bool is_activation(const PendingPicture& picture) {
  return picture.payload && picture.payload->head.form == PayloadHead::Form::kActivation;
}

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(Folder* spool_folder, Folder& results_folder,
                                             const std::string& results_name, TimeSource& time,
                                             const LedgerOptions& options,
                                             std::function<void(const Dropped&)> on_drop) {
  std::unique_ptr<Ledger> ledger(new Ledger(time, options, std::move(on_drop)));
  CLEAVE_RETURN_IF_ERROR(ledger->recover(spool_folder, results_folder, results_name));
  return ledger;
}

// The log is read from where the oldest pending picture was accepted: no record of any is before.
// With none pending only its end is.
Status Ledger::recover(Folder* spool_folder, Folder& results_folder,
                       const std::string& results_name) {
  std::optional<ResultLogPlace> from;
  if (spool_folder != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(spool_, Spool::open(*spool_folder, time_, options_.spool));
    counts_.recovered = spool_->pending().size();
    for (const auto& [sequence, picture] : spool_->pending()) {
      if (from && picture.source.results_bytes >= from->bytes) continue;
      from = {picture.source.results_bytes, picture.source.results_crc};
    }
  }
  std::vector<std::uint64_t> known;
  CLEAVE_ASSIGN_OR_RETURN(
      log_, ResultLog::open(results_folder, results_name, from, [&](std::uint64_t id) {
        if (spool_ && spool_->find(id) != nullptr) known.push_back(id);
      }));
  count_damage();
  // Their lines may have been read from the cache of a system that has not written them yet.
  if (!known.empty()) CLEAVE_RETURN_IF_ERROR(log_->make_durable());
  for (const std::uint64_t id : known) {
    if (spool_->find(id) == nullptr) continue;
    ++counts_.already_ended;
    release(id);
  }
  return Status::ok();
}

void Ledger::count_damage() {
  counts_.results_cut_bytes = log_->findings().cut_bytes;
  counts_.results_damaged_lines = log_->findings().damaged_lines;
  if (!spool_) return;
  counts_.spool_damaged_bytes = spool_->findings().damaged_bytes;
  counts_.spool_strange_segments = spool_->findings().strange.size();
}

std::uint64_t Ledger::accept(AcceptedBody source) {
  if (spool_) make_room_to_accept(source);
  return accept_where_room(std::move(source));
}

void Ledger::accept_and_drop(const AcceptedBody& source, const char* reason) {
  drop(accept_where_room(source), source.name, reason);
}

std::uint64_t Ledger::accept_where_room(AcceptedBody source) {
  tick();
  ++counts_.accepted;
  source.results_bytes = log_->end().bytes;
  source.results_crc = log_->end().crc;
  std::uint64_t id = 0;
  if (spool_) {
    const auto accepted = spool_->accept(source);
    if (accepted.is_ok()) {
      id = *accepted;
      in_work_.insert(id);
      note_dirty();
    } else {
      note(accepted.status().with_context("a picture goes on without the spool"));
    }
    note(spool_->take_trouble());
  }
  if (id != 0) return id;
  if (spool_) ++counts_.unprotected;
  while (id == 0) id = kernel_random();
  return id;
}

std::vector<std::uint64_t> Ledger::oldest_first(std::uint64_t but_request_id) const {
  std::vector<std::uint64_t> ids;
  for (const auto& [sequence, picture] : spool_->pending()) {
    const std::uint64_t id = picture.request_id;
    if (id != but_request_id && !in_work_.contains(id) && !ended_.contains(id)) ids.push_back(id);
  }
  return ids;
}

// Whether the write budget has room for the ends of so many pictures and then the payload: else
// they would be dropped and nothing copied.
bool Ledger::may_write_ends(std::size_t pictures, std::uint64_t payload_bytes) {
  const bool syncs_each = options_.spool.sync.kind == SyncKind::kAlways;
  const std::uint64_t syncs = kSyncsForRoom + (syncs_each ? pictures : 0);
  return spool_->may_write(payload_bytes + pictures * kEndBytes + syncs * kSyncedBlockBytes);
}

void Ledger::drop_oldest(std::span<const std::uint64_t> request_ids) {
  if (const Status begun = spool_->begin_segment(); !begun.is_ok()) return note(begun);
  for (const std::uint64_t id : request_ids) {
    drop(id, std::string(spool_->find(id)->source.name), kDroppedSpoolFull);
  }
  if (!to_release_.empty()) note(sync());
}

void Ledger::make_room_to_accept(const AcceptedBody& source) {
  if (options_.full == SpoolFull::kDropNewest || spool_->may_accept(source)) return;
  if (!to_release_.empty()) note(sync());
  const std::vector<std::uint64_t> ids = oldest_first(/*but_request_id=*/0);
  const auto count = spool_->releases_to_accept(source, ids);
  if (count) drop_oldest(std::span(ids).first(*count));
}

// Only whole segments make room, and one is held by each picture that has a record in it, a copy
// or not: whether dropping helps is known before anything is dropped.
Spool::Room Ledger::make_room(std::uint64_t request_id, std::uint64_t payload_bytes) {
  if (options_.full == SpoolFull::kDropNewest) return Spool::Room::kOverLimit;
  if (!to_release_.empty()) note(sync());
  const std::vector<std::uint64_t> ids = oldest_first(request_id);
  const auto count = spool_->releases_for(payload_bytes, ids);
  if (!count) return Spool::Room::kOverLimit;
  if (!may_write_ends(*count, payload_bytes)) return Spool::Room::kOverBudget;
  drop_oldest(std::span(ids).first(*count));
  return spool_->room_for(payload_bytes);
}

Ledger::Kept Ledger::keep(std::uint64_t request_id, const PayloadHead& head,
                          std::span<const std::span<const std::byte>> parts) {
  if (!spool_) return Kept::kNotSpooled;
  const PendingPicture* picture = spool_->find(request_id);
  if (picture == nullptr) return Kept::kNoRoom;
  const std::uint64_t bytes = total_bytes(parts);
  Spool::Room room = picture->payload ? Spool::Room::kYes : spool_->room_for(bytes);
  if (room == Spool::Room::kOverLimit) room = make_room(request_id, bytes);
  if (room == Spool::Room::kOverLimit || room == Spool::Room::kNever) return Kept::kNoRoom;
  Status written;
  if (room == Spool::Room::kYes && !picture->payload) {
    written = copy(request_id, head, parts, /*replaces=*/false);
  }
  in_work_.erase(request_id);
  // A full disk is no reason to forget a picture whose file is still there.
  if (room == Spool::Room::kOverBudget || !written.is_ok()) {
    ++counts_.by_reference;
    return Kept::kByReference;
  }
  return Kept::kCopied;
}

Status Ledger::copy(std::uint64_t request_id, const PayloadHead& head,
                    std::span<const std::span<const std::byte>> parts, bool replaces) {
  Status written =
      replaces ? spool_->replace(request_id, head, parts) : spool_->keep(request_id, head, parts);
  note(written);
  note(spool_->take_trouble());
  note_dirty();
  if (!written.is_ok()) return written;
  const bool file = head.form == PayloadHead::Form::kFile;
  ++(file ? counts_.copied_files : counts_.copied_activations);
  counts_.replaced += replaces ? 1 : 0;
  counts_.copied_bytes += total_bytes(parts);
  return written;
}

bool Ledger::is_worth_replacing(const PendingPicture& picture, const PayloadHead& head,
                                std::uint64_t bytes) {
  const bool gets_smaller = !is_activation(picture) && head.form == PayloadHead::Form::kActivation;
  if (!gets_smaller || options_.spool.sync.kind == SyncKind::kNever) return false;
  const std::uint64_t written = bytes + kMaxReplacedHeadBytes + kSyncedBlockBytes;
  return 2 * written <= picture.payload->bytes() &&
         spool_->room_for(2 * written) == Spool::Room::kYes;
}

void Ledger::keep_less(std::uint64_t request_id, const PayloadHead& head,
                       std::span<const std::span<const std::byte>> parts) {
  const PendingPicture* picture = find(request_id);
  if (picture == nullptr) return;
  const std::uint64_t bytes = total_bytes(parts);
  const bool is_worth_it = picture->payload ? is_worth_replacing(*picture, head, bytes)
                                            : spool_->room_for(bytes) == Spool::Room::kYes;
  if (is_worth_it) (void)copy(request_id, head, parts, picture->payload.has_value());
}

Status Ledger::answered(std::uint64_t request_id, std::string_view fields) {
  ++counts_.answered;
  return finish(request_id, state_fields("answered", fields));
}

Status Ledger::dropped(std::uint64_t request_id, std::string_view reason, std::string_view fields) {
  std::string all = "\"reason\":" + json_text(reason);
  if (!fields.empty()) all += ',';
  all += fields;
  ++counts_.dropped[std::string(reason)];
  return finish(request_id, state_fields("dropped", all));
}

void Ledger::drop(std::uint64_t request_id, const std::string& name, const char* reason) {
  const Dropped record{request_id, name, reason};
  note(dropped(request_id, reason, "\"image\":" + json_text(name)));
  on_drop_(record);
}

Status Ledger::finish(std::uint64_t request_id, std::string_view fields) {
  ended_.insert(request_id);
  in_work_.erase(request_id);
  const std::uint64_t before = log_->end().bytes;
  CLEAVE_RETURN_IF_ERROR(log_->append(request_id, fields));
  if (spool_) spool_->charge(log_->end().bytes - before);
  switch (options_.spool.sync.kind) {
    case SyncKind::kAlways:
      if (spool_) spool_->charge(kSyncedBlockBytes);
      if (Status status = log_->sync(); !status.is_ok()) {
        ++counts_.sync_failures;
        return status;
      }
      release(request_id);
      break;
    case SyncKind::kInterval:
      to_release_.push_back(request_id);
      note_dirty();
      tick();
      break;
    case SyncKind::kNever:
      release(request_id);
      break;
  }
  return Status::ok();
}

void Ledger::release(std::uint64_t request_id) {
  if (spool_) {
    note(spool_->release(request_id));
    note(spool_->take_trouble());
  }
  ended_.erase(request_id);
}

const PendingPicture* Ledger::next() {
  tick();
  if (!spool_) return nullptr;
  for (;;) {
    const auto found = std::ranges::find_if(spool_->pending(), [&](const auto& entry) {
      const std::uint64_t id = entry.second.request_id;
      return !in_work_.contains(id) && !ended_.contains(id) && !passed_.contains(id);
    });
    if (found == spool_->pending().end()) return nullptr;
    const PendingPicture& picture = found->second;
    const std::uint64_t age_ns = planner::saturating_sub(spool_->now_ns(), picture.accepted_ns);
    if (age_ns <= options_.ttl_ns) return &picture;
    const PendingPicture copy = picture;
    drop(copy.request_id, copy.source.name, kDroppedExpired);
  }
}

Result<std::vector<std::byte>> Ledger::payload(std::uint64_t request_id) {
  if (!spool_) return Status(StatusCode::kNotFound, "there is no spool");
  return spool_->payload(request_id);
}

std::uint64_t Ledger::waiting() const {
  if (!spool_) return 0;
  return static_cast<std::uint64_t>(
      std::ranges::count_if(spool_->pending(), [&](const auto& entry) {
        return !in_work_.contains(entry.second.request_id) &&
               !ended_.contains(entry.second.request_id);
      }));
}

std::uint64_t Ledger::waiting_activations() const {
  if (!spool_) return 0;
  return static_cast<std::uint64_t>(
      std::ranges::count_if(spool_->pending(), [&](const auto& entry) {
        return is_activation(entry.second) && !in_work_.contains(entry.second.request_id) &&
               !ended_.contains(entry.second.request_id);
      }));
}

void Ledger::note_dirty() {
  if (options_.spool.sync.kind != SyncKind::kInterval || dirty_since_ns_ != 0) return;
  dirty_since_ns_ = std::max<std::uint64_t>(1, monotonic_ns());
}

std::uint64_t Ledger::sync_due_ns() const {
  if (dirty_since_ns_ == 0) return UINT64_MAX;
  return planner::saturating_sub(dirty_since_ns_ + options_.spool.sync.interval_ns, monotonic_ns());
}

void Ledger::tick() {
  if (sync_due_ns() == 0) note(sync());
}

// Acceptances and records first; the releases that follow are written behind them and become
// durable with the next sync.
Status Ledger::sync() {
  dirty_since_ns_ = 0;
  if (spool_) {
    if (Status status = spool_->sync(); !status.is_ok()) note(status);
  }
  if (log_->is_dirty()) {
    if (spool_) spool_->charge(kSyncedBlockBytes);
    if (Status status = log_->sync(); !status.is_ok()) {
      ++counts_.sync_failures;
      note_dirty();
      return status;
    }
  }
  for (const std::uint64_t id : std::exchange(to_release_, {})) release(id);
  return Status::ok();
}

Status Ledger::close() {
  Status status;
  if (options_.spool.sync.kind != SyncKind::kNever) status = sync();
  if (!spool_) return status;
  const Status closed = spool_->close();
  return status.is_ok() ? closed : status;
}

void Ledger::note(const Status& status) {
  if (!status.is_ok()) trouble_ = status;
}

Status Ledger::take_trouble() { return std::exchange(trouble_, Status::ok()); }

}  // namespace cleave::agent
