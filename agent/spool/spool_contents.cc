// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool_contents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/spool/segment_scan.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

// Whether a loss of power may have left it so, before anything was written to it.
Result<bool> is_blank(const AppendFile& file) {
  std::array<std::byte, 4096> piece;
  for (std::uint64_t at = 0; at < file.size();) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.size() - at));
    CLEAVE_RETURN_IF_ERROR(file.read_at(at, std::span(piece).first(count)));
    for (std::size_t i = 0; i < count; ++i) {
      if (piece[i] != std::byte{0}) return false;
    }
    at += count;
  }
  return true;
}

// Before anything in it is believed.
Status check_number(const AppendFile& file, std::uint64_t number) {
  SegmentHeaderBytes bytes;
  if (file.size() < bytes.size()) return {StatusCode::kCorrupt, "it is cut short"};
  CLEAVE_RETURN_IF_ERROR(file.read_at(0, bytes));
  CLEAVE_ASSIGN_OR_RETURN(const SegmentHeader header, read_segment_header(bytes));
  if (header.number == number) return Status::ok();
  return {StatusCode::kCorrupt, "it has another name"};
}

class Reader {
 public:
  explicit Reader(SpoolContents& contents) : contents_(contents) {}

  Status read(const Folder& folder, const std::string& name, std::uint64_t number) {
    CLEAVE_ASSIGN_OR_RETURN(const auto file, folder.open(name));
    if (const Status ours = check_number(*file, number); !ours.is_ok()) {
      return leave_alone(*file, name, ours);
    }
    SegmentState& segment = contents_.segments[number];
    segment.bytes = file->size();
    number_ = number;
    CLEAVE_ASSIGN_OR_RETURN(
        const SegmentScan scan,
        scan_segment(*file, [this](const ScannedRecord& record) { take(record); }));
    segment.salt = scan.header.salt;
    contents_.findings.records += scan.records;
    contents_.findings.damaged_bytes += scan.damaged_bytes;
    return Status::ok();
  }

 private:
  Status leave_alone(const AppendFile& file, const std::string& name, const Status& why) {
    if (why.code() == StatusCode::kIo) return why;
    CLEAVE_ASSIGN_OR_RETURN(const bool blank, is_blank(file));
    if (blank) {
      contents_.blank.push_back(name);
    } else {
      contents_.findings.strange.push_back(name + ": " + why.message());
    }
    return Status::ok();
  }

  void take(const ScannedRecord& record) {
    const SpoolRecordHeader& header = record.header;
    if (header.sequence >= contents_.next_sequence) take_time(record);
    switch (header.type) {
      case SpoolRecordType::kOpened:
        contents_.findings.cut_off = true;
        break;
      case SpoolRecordType::kClosed:
        contents_.findings.cut_off = false;
        break;
      case SpoolRecordType::kAccepted:
        if (PendingPicture* picture = entry_of(header))
          picture->source = *read_accepted(record.body);
        break;
      case SpoolRecordType::kPayload:
        if (PendingPicture* picture = entry_of(header)) {
          const PayloadHead head = *read_payload_head(record.body, header.body_bytes);
          picture->payload = place_of(record, head, payload_head_bytes(head.form));
        }
        break;
      case SpoolRecordType::kReplaced:
        take_replaced(record);
        break;
      case SpoolRecordType::kReleased:
        contents_.take_out(header.request_id, number_);
        break;
    }
  }

  void take_time(const ScannedRecord& record) {
    const SpoolRecordHeader& header = record.header;
    if (header.type == SpoolRecordType::kOpened) {
      const OpenedBody opened = *read_opened(record.body);
      contents_.findings.last_sync = {opened.sync, opened.interval_ns};
      contents_.last_time.boot_id = opened.boot_id;
      opened_boot_ns_ = opened.boot_ns;
      opened_spool_ns_ = header.spool_ns;
    }
    contents_.next_sequence = planner::saturating_add(header.sequence, 1);
    contents_.spool_ns = header.spool_ns;
    // With this record, and what making it durable took: its run may have ended right behind it.
    contents_.spent_bytes = planner::saturating_add(
        header.spent_bytes, record_bytes(header.body_bytes) + kSyncedBlockBytes);
    contents_.last_time.wall_ns = header.wall_ns;
    contents_.last_time.boot_ns = planner::saturating_add(
        opened_boot_ns_, planner::saturating_sub(header.spool_ns, opened_spool_ns_));
  }

  [[nodiscard]] PayloadPlace place_of(const ScannedRecord& record, const PayloadHead& head,
                                      std::size_t head_bytes) const {
    return {.head = head,
            .segment = number_,
            .body_at = record.body_at,
            .body_bytes = record.header.body_bytes,
            .body_crc = record.header.body_crc,
            .head_bytes = static_cast<std::uint32_t>(head_bytes)};
  }

  // The picture keeps its place and its age, also where nothing older of it is left. The segments
  // with what is older are kept until this one is known to be durable.
  void take_replaced(const ScannedRecord& record) {
    const ReplacedStart replaced = *read_replaced(record.body, record.header.body_bytes);
    SpoolRecordHeader original = record.header;
    original.sequence = replaced.body.sequence;
    original.spool_ns = replaced.body.accepted_ns;
    PendingPicture* picture = entry_of(original);
    if (picture == nullptr) return;
    give_place(*picture, original.sequence);
    picture->accepted_ns = original.spool_ns;
    picture->source = replaced.body.source;
    picture->payload = place_of(record, replaced.body.head, replaced.head_bytes);
    contents_.replaced_in[picture->request_id] = number_;
  }

  // Of a picture whose acceptance is gone, with its segment, while a copy that was replaced is not.
  void give_place(PendingPicture& picture, std::uint64_t sequence) {
    if (picture.sequence == sequence || contents_.pending.contains(sequence)) return;
    auto entry = contents_.pending.extract(picture.sequence);
    entry.key() = picture.sequence = sequence;
    contents_.sequence_of[picture.request_id] = sequence;
    contents_.pending.insert(std::move(entry));
  }

  // Null when there are too many.
  PendingPicture* entry_of(const SpoolRecordHeader& header) {
    PendingPicture* picture = contents_.find(header.request_id);
    if (picture == nullptr) {
      if (contents_.pending.size() > kMaxPendingPictures) return nullptr;
      // A sequence that is there twice is no writer's of ours; the later one then stands for both.
      const auto [place, is_new] = contents_.pending.try_emplace(header.sequence);
      if (!is_new) return nullptr;
      picture = &place->second;
      picture->request_id = header.request_id;
      picture->sequence = header.sequence;
      picture->accepted_ns = header.spool_ns;
      contents_.sequence_of[header.request_id] = header.sequence;
    }
    if (picture->segments.insert(number_).second) ++contents_.segments[number_].pending;
    return picture;
  }

  SpoolContents& contents_;
  std::uint64_t number_ = 0;
  std::uint64_t opened_boot_ns_ = 0;
  std::uint64_t opened_spool_ns_ = 0;
};

}  // namespace

std::uint64_t SpoolContents::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [number, segment] : segments) sum += segment.bytes;
  return sum;
}

PendingPicture* SpoolContents::find(std::uint64_t request_id) {
  const auto found = sequence_of.find(request_id);
  return found == sequence_of.end() ? nullptr : &pending.at(found->second);
}

void SpoolContents::supersede_all_but(std::uint64_t segment, PendingPicture& picture) {
  for (const std::uint64_t number : std::exchange(picture.segments, {segment})) {
    if (number == segment) continue;
    --segments.at(number).pending;
    picture.superseded.insert(number);
  }
}

void SpoolContents::take_out(std::uint64_t request_id, std::uint64_t in_segment) {
  const PendingPicture* picture = find(request_id);
  if (picture == nullptr) return;
  for (const std::uint64_t number : picture->segments) {
    --segments.at(number).pending;
    if (number != in_segment) segments.at(in_segment).releases.insert(number);
  }
  // Those may be gone already.
  for (const std::uint64_t number : picture->superseded) {
    if (number != in_segment) segments.at(in_segment).releases.insert(number);
  }
  pending.erase(picture->sequence);
  sequence_of.erase(request_id);
  replaced_in.erase(request_id);
}

Result<SpoolContents> read_spool(const Folder& folder) {
  SpoolContents contents;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::string> names, folder.names());
  Reader reader(contents);
  for (const std::string& name : names) {
    const auto number = segment_number(name);
    if (!number) continue;
    contents.next_number = std::max(contents.next_number, planner::saturating_add(*number, 1));
    CLEAVE_RETURN_IF_ERROR(reader.read(folder, name, *number));
  }
  if (contents.pending.size() > kMaxPendingPictures) {
    return Status(StatusCode::kResourceExhausted,
                  "the spool holds more than " + std::to_string(kMaxPendingPictures) + " pictures");
  }
  return contents;
}

}  // namespace cleave::agent
