// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/segment_scan.h"

#include <algorithm>
#include <array>
#include <vector>

#include "agent/spool/crc32.h"

namespace cleave::agent {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;

// The file through a window, so that a search 8 bytes at a time is not a read each.
class Window {
 public:
  explicit Window(const AppendFile& file) : file_(file), bytes_(kPieceBytes) {}

  // `count` bytes at `offset`. REQUIRES: within the file, count <= kPieceBytes.
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::size_t count) {
    if (offset < from_ || offset + count > from_ + have_) {
      have_ = 0;
      const auto wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, file_.size() - offset));
      CLEAVE_RETURN_IF_ERROR(file_.read_at(offset, std::span(bytes_).first(wanted)));
      from_ = offset;
      have_ = wanted;
    }
    return std::span<const std::byte>(bytes_).subspan(offset - from_, count);
  }

 private:
  const AppendFile& file_;
  std::vector<std::byte> bytes_;
  std::uint64_t from_ = 0;
  std::size_t have_ = 0;
};

// A payload's bytes are only checked.
std::size_t kept_bytes(const SpoolRecordHeader& header) {
  std::size_t most = header.body_bytes;
  if (header.type == SpoolRecordType::kPayload) most = kActivationHeadBytes;
  if (header.type == SpoolRecordType::kReplaced) most = kMaxReplacedHeadBytes;
  return std::min<std::size_t>(header.body_bytes, most);
}

Result<std::uint32_t> read_body(Window& window, const SpoolRecordHeader& header, std::uint64_t salt,
                                std::uint64_t at, std::vector<std::byte>& kept) {
  const std::size_t keep = kept_bytes(header);
  kept.clear();
  std::uint32_t crc = body_crc_start(salt);
  for (std::uint64_t done = 0; done < header.body_bytes;) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, header.body_bytes - done));
    CLEAVE_ASSIGN_OR_RETURN(const auto piece, window.at(at + done, count));
    crc = crc32_of(piece, crc);
    const std::size_t more = std::min(keep - kept.size(), count);
    kept.insert(kept.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(more));
    done += count;
  }
  return crc;
}

bool body_reads(const SpoolRecordHeader& header, std::span<const std::byte> body) {
  switch (header.type) {
    case SpoolRecordType::kOpened:
      return read_opened(body).is_ok();
    case SpoolRecordType::kAccepted:
      return read_accepted(body).is_ok();
    case SpoolRecordType::kPayload:
      return read_payload_head(body, header.body_bytes).is_ok();
    case SpoolRecordType::kReplaced: {
      const auto replaced = read_replaced(body, header.body_bytes);
      return replaced.is_ok() && replaced->body.sequence < header.sequence &&
             replaced->body.accepted_ns <= header.spool_ns;
    }
    case SpoolRecordType::kReleased:
    case SpoolRecordType::kClosed:
      return true;
  }
  return false;
}

}  // namespace

Result<SegmentScan> scan_segment(const AppendFile& file,
                                 const std::function<void(const ScannedRecord&)>& visit) {
  const std::uint64_t size = file.size();
  if (size < kSegmentHeaderBytes) {
    return Status(StatusCode::kCorrupt, "shorter than the header of a spool segment");
  }
  Window window(file);
  CLEAVE_ASSIGN_OR_RETURN(const auto head, window.at(0, kSegmentHeaderBytes));
  SegmentScan scan;
  CLEAVE_ASSIGN_OR_RETURN(scan.header, read_segment_header(head.first<kSegmentHeaderBytes>()));
  std::vector<std::byte> body;
  std::uint64_t taken = kSegmentHeaderBytes;
  for (std::uint64_t at = kSegmentHeaderBytes; at + kSpoolRecordHeaderBytes <= size;) {
    CLEAVE_ASSIGN_OR_RETURN(const auto bytes, window.at(at, kSpoolRecordHeaderBytes));
    const auto header =
        read_record_header(bytes.first<kSpoolRecordHeaderBytes>(), scan.header.salt);
    if (!header) {
      at += kSpoolAlignment;
      continue;
    }
    const std::uint64_t body_at = at + kSpoolRecordHeaderBytes;
    if (header->body_bytes > size - body_at) {
      at = body_at;  // the end of this record was never written, or is lost
      continue;
    }
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t crc,
                            read_body(window, *header, scan.header.salt, body_at, body));
    const std::uint64_t whole = record_bytes(header->body_bytes);
    if (crc == header->body_crc && body_reads(*header, body)) {
      ++scan.records;
      taken += std::min(whole, size - at);
      visit({*header, body_at, body});
    }
    at += whole;
  }
  scan.damaged_bytes = size - taken;
  return scan;
}

}  // namespace cleave::agent
