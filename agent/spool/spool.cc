// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "agent/spool/crc32.h"
#include "agent/spool/release_trial.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kSmallestSegmentBytes = 32 << 10;
constexpr std::uint64_t kLargestSegmentBytes = 8 << 20;
// Kept free of payloads, so that acceptances and releases find room.
constexpr std::uint64_t kReserveBytes = 64 << 10;
// At most, of a segment's header and its Opened record.
constexpr std::uint64_t kSegmentStartBytes = 256;

std::uint64_t segment_bytes(std::uint64_t limit_bytes) {
  return std::clamp(limit_bytes / 8, kSmallestSegmentBytes, kLargestSegmentBytes);
}

// Of what payloads and the records behind them may use.
std::uint64_t usable_bytes(std::uint64_t limit_bytes) {
  return limit_bytes - std::min(kReserveBytes, limit_bytes / 8);
}

// With the segment that may have to be begun for it. More than any limit where no record holds it.
std::uint64_t payload_record_bytes(std::uint64_t payload_bytes) {
  const std::uint64_t body = planner::saturating_add(kActivationHeadBytes, payload_bytes);
  return body > kMaxSpoolBodyBytes ? UINT64_MAX : record_bytes(body) + kSegmentHeaderBytes;
}

std::uint64_t spool_ns_at(const SpoolContents& contents, const TimeReading& now) {
  if (contents.findings.records == 0) return 0;
  return planner::saturating_add(contents.spool_ns, elapsed_ns(contents.last_time, now));
}

}  // namespace

std::uint64_t kernel_random() {
  std::uint64_t value = 0;
  while (::getrandom(&value, sizeof(value), 0) < 0 && errno == EINTR) {
  }
  return value;
}

Result<std::unique_ptr<Spool>> Spool::open(Folder& folder, TimeSource& time,
                                           const SpoolOptions& options) {
  CLEAVE_ASSIGN_OR_RETURN(SpoolContents contents, read_spool(folder));
  for (const std::string& name : contents.blank) (void)folder.remove(name);
  SpoolOptions complete = options;
  if (!complete.random) complete.random = kernel_random;
  std::unique_ptr<Spool> spool(new Spool(folder, time, complete, std::move(contents)));
  spool->settle_replacements();
  return spool;
}

Spool::Spool(Folder& folder, TimeSource& time, const SpoolOptions& options, SpoolContents contents)
    : folder_(folder),
      options_(options),
      contents_(std::move(contents)),
      opened_(time.now()),
      clock_(time, spool_ns_at(contents_, opened_), opened_),
      bucket_(options.budget, contents_.spent_bytes, contents_.spool_ns) {}

Result<std::uint64_t> Spool::accept(const AcceptedBody& source) {
  std::uint64_t id = 0;
  while (id == 0 || contents_.find(id) != nullptr) id = options_.random();
  const std::vector<std::byte> body = write_accepted(source);
  if (!may_accept(source)) return Status(StatusCode::kResourceExhausted, "the spool is full");
  CLEAVE_RETURN_IF_ERROR(append(SpoolRecordType::kAccepted, id, body));
  PendingPicture& picture = contents_.pending[contents_.next_sequence - 1];
  picture.request_id = id;
  picture.sequence = contents_.next_sequence - 1;
  picture.accepted_ns = now_ns();
  picture.source = source;
  contents_.sequence_of[id] = picture.sequence;
  note_in_active(picture);
  commit();
  return id;
}

Spool::Room Spool::room_for(std::uint64_t payload_bytes) {
  const std::uint64_t record = payload_record_bytes(payload_bytes);
  const std::uint64_t usable = usable_bytes(options_.limit_bytes);
  if (payload_bytes == 0 || record > usable) return Room::kNever;
  if (!may_write(record + kSyncedBlockBytes)) return Room::kOverBudget;
  return bytes() + record > usable ? Room::kOverLimit : Room::kYes;
}

bool Spool::may_accept(const AcceptedBody& source) const {
  return contents_.pending.size() < kMaxPendingPictures &&
         bytes() + record_bytes(write_accepted(source).size()) <= options_.limit_bytes;
}

std::optional<std::size_t> Spool::releases_to_accept(const AcceptedBody& source,
                                                     std::span<const std::uint64_t> request_ids) {
  const std::size_t too_many =
      planner::saturating_sub(contents_.pending.size() + 1, kMaxPendingPictures);
  const auto count = releases_until(record_bytes(write_accepted(source).size()),
                                    options_.limit_bytes, request_ids);
  if (!count || too_many > request_ids.size()) return {};
  return std::max(*count, too_many);
}

std::optional<std::size_t> Spool::releases_for(std::uint64_t payload_bytes,
                                               std::span<const std::uint64_t> request_ids) {
  return releases_until(payload_record_bytes(payload_bytes), usable_bytes(options_.limit_bytes),
                        request_ids);
}

std::optional<std::size_t> Spool::releases_until(std::uint64_t more_bytes,
                                                 std::uint64_t bound_bytes,
                                                 std::span<const std::uint64_t> request_ids) {
  std::uint64_t needed = planner::saturating_add(bytes() + kSegmentStartBytes, more_bytes);
  ReleaseTrial trial(contents_);
  for (std::size_t count = 0;; ++count) {
    if (needed <= bound_bytes + trial.freed_bytes()) return count;
    if (count == request_ids.size()) return {};
    trial.release(*contents_.find(request_ids[count]));
    needed = planner::saturating_add(needed, record_bytes(0));
  }
}

Status Spool::keep(std::uint64_t request_id, const PayloadHead& head,
                   std::span<const std::span<const std::byte>> parts) {
  PendingPicture* picture = contents_.find(request_id);
  if (picture == nullptr) return {StatusCode::kNotFound, "no such picture is pending"};
  CLEAVE_ASSIGN_OR_RETURN(picture->payload, append_payload(SpoolRecordType::kPayload, request_id,
                                                           head, write_payload_head(head), parts));
  note_in_active(*picture);
  commit();
  return Status::ok();
}

Status Spool::replace(std::uint64_t request_id, const PayloadHead& head,
                      std::span<const std::span<const std::byte>> parts) {
  PendingPicture* picture = contents_.find(request_id);
  if (picture == nullptr) return {StatusCode::kNotFound, "no such picture is pending"};
  // In one segment with the old bytes the new ones would keep them there.
  if (active_ && picture->payload && picture->payload->segment == active_->number) {
    CLEAVE_RETURN_IF_ERROR(seal());
  }
  const ReplacedBody body{picture->sequence, picture->accepted_ns, picture->source, head};
  CLEAVE_ASSIGN_OR_RETURN(
      const PayloadPlace place,
      append_payload(SpoolRecordType::kReplaced, request_id, head, write_replaced(body), parts));
  note_in_active(*picture);
  CLEAVE_RETURN_IF_ERROR(sync());
  picture->payload = place;
  contents_.supersede_all_but(place.segment, *picture);
  remove_unneeded();
  return Status::ok();
}

// A run that was killed may have left replacements that the disk does not have yet.
void Spool::settle_replacements() {
  std::set<std::uint64_t> segments;
  for (const auto& [id, segment] : contents_.replaced_in) segments.insert(segment);
  for (const std::uint64_t number : segments) {
    const auto file = folder_.open(segment_name(number));
    if (!file.is_ok() || !(*file)->sync().is_ok()) return;
  }
  if (segments.empty() || !folder_.sync_names().is_ok()) return;
  for (const auto& [id, segment] : contents_.replaced_in) {
    contents_.supersede_all_but(segment, *contents_.find(id));
  }
}

// Where what it appended stands.
Result<PayloadPlace> Spool::append_payload(SpoolRecordType type, std::uint64_t request_id,
                                           const PayloadHead& head,
                                           std::span<const std::byte> body_head,
                                           std::span<const std::span<const std::byte>> parts) {
  std::vector<std::span<const std::byte>> body{body_head};
  body.insert(body.end(), parts.begin(), parts.end());
  CLEAVE_RETURN_IF_ERROR(append_parts(type, request_id, body));
  PayloadPlace place{.head = head, .segment = active_->number};
  place.head_bytes = static_cast<std::uint32_t>(body_head.size());
  place.body_crc = body_crc_start(contents_.segments.at(active_->number).salt);
  for (const auto& part : body) {
    place.body_bytes += static_cast<std::uint32_t>(part.size());
    place.body_crc = crc32_of(part, place.body_crc);
  }
  place.body_at = active_->file->size() - record_bytes(place.body_bytes) + kSpoolRecordHeaderBytes;
  return place;
}

Result<std::vector<std::byte>> Spool::payload(std::uint64_t request_id) {
  const PendingPicture* picture = contents_.find(request_id);
  if (picture == nullptr || !picture->payload) {
    return Status(StatusCode::kNotFound, "the spool has no bytes of this picture");
  }
  const PayloadPlace& place = *picture->payload;
  const std::string name = segment_name(place.segment);
  CLEAVE_ASSIGN_OR_RETURN(const auto file, folder_.open(name));
  std::vector<std::byte> body(place.body_bytes);
  CLEAVE_RETURN_IF_ERROR(file->read_at(place.body_at, body));
  const std::uint32_t crc =
      crc32_of(body, body_crc_start(contents_.segments.at(place.segment).salt));
  if (crc != place.body_crc) {
    return Status(StatusCode::kCorrupt, name + ": a payload was damaged on the disk");
  }
  body.erase(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(place.head_bytes));
  return body;
}

Status Spool::release(std::uint64_t request_id) {
  if (contents_.find(request_id) == nullptr) return Status::ok();
  const Status status = append(SpoolRecordType::kReleased, request_id, {});
  if (!status.is_ok()) {
    // Where it was pending it stays so on the disk: its segments must not go before a next run has
    // seen its terminal record.
    const PendingPicture picture = *contents_.find(request_id);
    contents_.pending.erase(picture.sequence);
    contents_.sequence_of.erase(request_id);
    return status;
  }
  contents_.take_out(request_id, active_->number);
  remove_unneeded();
  return Status::ok();
}

Status Spool::seal() {
  if (!active_) return Status::ok();
  const Status status = options_.sync.kind == SyncKind::kNever ? Status::ok() : sync();
  active_.reset();
  return status;
}

Status Spool::begin_segment() {
  CLEAVE_RETURN_IF_ERROR(seal());
  return open_segment();
}

Status Spool::sync() {
  if (active_ && active_->dirty) {
    bucket_.add(kSyncedBlockBytes, now_ns());
    if (const Status status = active_->file->sync(); !status.is_ok()) {
      abandon_segment();
      return status;
    }
    active_->dirty = false;
  }
  if (!names_dirty_) return Status::ok();
  bucket_.add(kSyncedBlockBytes, now_ns());
  CLEAVE_RETURN_IF_ERROR(folder_.sync_names());
  names_dirty_ = false;
  return Status::ok();
}

Status Spool::close() {
  if (active_) CLEAVE_RETURN_IF_ERROR(append(SpoolRecordType::kClosed, 0, {}));
  if (options_.sync.kind != SyncKind::kNever) CLEAVE_RETURN_IF_ERROR(sync());
  active_.reset();
  return Status::ok();
}

// What was written counts as written even when the disk does not say that it is there: it may be.
void Spool::commit() {
  if (options_.sync.kind != SyncKind::kAlways) return;
  if (Status status = sync(); !status.is_ok()) trouble_ = std::move(status);
}

Status Spool::take_trouble() { return std::exchange(trouble_, Status::ok()); }

// What it holds stays; nothing more is written behind bytes of which nobody knows whether they are
// there.
void Spool::abandon_segment() { active_.reset(); }

void Spool::note_in_active(PendingPicture& picture) {
  if (picture.segments.insert(active_->number).second) {
    ++contents_.segments.at(active_->number).pending;
  }
}

Status Spool::append(SpoolRecordType type, std::uint64_t request_id,
                     std::span<const std::byte> body) {
  const std::array<std::span<const std::byte>, 1> parts{body};
  return append_parts(type, request_id, parts);
}

Status Spool::append_parts(SpoolRecordType type, std::uint64_t request_id,
                           std::span<const std::span<const std::byte>> body) {
  if (active_ && active_->file->size() >= segment_bytes(options_.limit_bytes)) {
    CLEAVE_RETURN_IF_ERROR(seal());
  }
  if (!active_) CLEAVE_RETURN_IF_ERROR(open_segment());
  if (!active_) return {StatusCode::kIo, "the spool cannot be synced"};
  const std::uint64_t salt = contents_.segments.at(active_->number).salt;
  const SpoolClock::Reading now = clock_.now();
  SpoolRecordHeader header{.type = type,
                           .sequence = contents_.next_sequence,
                           .request_id = request_id,
                           .spool_ns = now.spool_ns,
                           .wall_ns = now.wall_ns,
                           .spent_bytes = bucket_.level(now.spool_ns),
                           .body_crc = body_crc_start(salt)};
  for (const auto& part : body) {
    header.body_bytes += static_cast<std::uint32_t>(part.size());
    header.body_crc = crc32_of(part, header.body_crc);
  }
  const auto head = write_record_header(header, salt);
  static constexpr std::array<std::byte, kSpoolAlignment> kZeros{};
  const std::uint64_t padding =
      record_bytes(header.body_bytes) - kSpoolRecordHeaderBytes - header.body_bytes;
  std::vector<std::span<const std::byte>> parts{head};
  parts.insert(parts.end(), body.begin(), body.end());
  parts.push_back(std::span(kZeros).first(padding));
  CLEAVE_RETURN_IF_ERROR(write_all(parts));
  ++contents_.next_sequence;
  return Status::ok();
}

// As a whole or not at all, as far as the disk lets it.
Status Spool::write_all(std::span<const std::span<const std::byte>> parts) {
  const std::uint64_t before = active_->file->size();
  active_->dirty = true;
  Status status;
  for (const auto& part : parts) {
    if (status.is_ok() && !part.empty()) status = active_->file->append(part);
  }
  SegmentState& segment = contents_.segments.at(active_->number);
  if (!status.is_ok() && !active_->file->truncate(before).is_ok()) {
    segment.bytes = active_->file->size();
    abandon_segment();
    return status;
  }
  bucket_.add(active_->file->size() - before, now_ns());
  segment.bytes = active_->file->size();
  return status;
}

Status Spool::open_segment() {
  const std::uint64_t number = contents_.next_number;
  CLEAVE_ASSIGN_OR_RETURN(auto file, folder_.create(segment_name(number)));
  ++contents_.next_number;
  names_dirty_ = true;
  const SegmentHeader header{number, options_.random()};
  contents_.segments[number].salt = header.salt;
  active_ = {number, std::move(file), true};
  const auto bytes = write_segment_header(header);
  const std::array<std::span<const std::byte>, 1> parts{bytes};
  Status status = write_all(parts);
  // The clock is told anew in each, as the segments before it will be removed.
  const OpenedBody opened{opened_.boot_id, opened_.boot_ns + (now_ns() - clock_.start_ns()),
                          options_.sync.kind, options_.sync.interval_ns};
  if (status.is_ok()) status = append(SpoolRecordType::kOpened, 0, write_opened(opened));
  if (!status.is_ok()) {
    active_.reset();
    // A name that is left behind holds no picture and is removed by a next run.
    if (folder_.remove(segment_name(number)).is_ok()) contents_.segments.erase(number);
    return status;
  }
  remove_unneeded();
  return Status::ok();
}

// Each round removes what nothing that is still there depends on; the rounds are kept apart by a
// sync, or a loss of power could undo a removal and leave a picture without the release of it.
void Spool::remove_unneeded() {
  for (bool removed = true; removed;) {
    removed = false;
    std::vector<std::uint64_t> unneeded;
    for (const auto& [number, segment] : contents_.segments) {
      const bool needed = std::ranges::any_of(segment.releases, [&](std::uint64_t other) {
        return contents_.segments.contains(other);
      });
      if (segment.pending == 0 && !needed && active_ && number != active_->number) {
        unneeded.push_back(number);
      }
    }
    for (const std::uint64_t number : unneeded) {
      // The newest segment holds the spool's clock and must be durable before the others go.
      if (options_.sync.kind != SyncKind::kNever && !sync().is_ok()) return;
      if (!folder_.remove(segment_name(number)).is_ok()) continue;
      contents_.segments.erase(number);
      names_dirty_ = true;
      removed = true;
    }
    if (removed && options_.sync.kind != SyncKind::kNever && !sync().is_ok()) return;
  }
}

}  // namespace cleave::agent
