// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool_format.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "agent/spool/crc32.h"
#include "schemas/generated/wire_generated.h"
#include "schemas/little_endian.h"

namespace cleave::agent {
namespace {

constexpr std::uint32_t kSegmentMagic = 0x50534C43;  // "CLSP"
constexpr std::uint32_t kRecordMagic = 0x52534C43;   // "CLSR"
constexpr std::size_t kCrcAt = 60;
constexpr std::size_t kOpenedBytes = 40;
constexpr std::string_view kSegmentSuffix = ".spool";

bool all_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxSourceNameBytes &&
         name.find('\0') == std::string_view::npos;
}

Status bad_body(const char* what) {
  return {StatusCode::kCorrupt, std::string("a spool record's body: ") + what};
}

// What a body must be beside its own fields: none has an id that means nothing.
bool id_fits(const SpoolRecordHeader& header) {
  const bool of_run =
      header.type == SpoolRecordType::kOpened || header.type == SpoolRecordType::kClosed;
  return of_run == (header.request_id == 0);
}

bool body_size_fits(const SpoolRecordHeader& header) {
  switch (header.type) {
    case SpoolRecordType::kOpened:
      return header.body_bytes == kOpenedBytes;
    case SpoolRecordType::kAccepted:
      return header.body_bytes > kAcceptedHeadBytes &&
             header.body_bytes <= kAcceptedHeadBytes + 2 * kMaxSourceNameBytes;
    case SpoolRecordType::kPayload:
      return header.body_bytes > kFileHeadBytes && header.body_bytes <= kMaxSpoolBodyBytes;
    case SpoolRecordType::kReplaced:
      return header.body_bytes > kReplacedHeadBytes + kFileHeadBytes &&
             header.body_bytes <= kMaxSpoolBodyBytes;
    case SpoolRecordType::kReleased:
    case SpoolRecordType::kClosed:
      return header.body_bytes == 0;
  }
  return false;
}

// Whether a Request could be of it; the model says whether that has such a cut.
bool is_of_tensors(const PayloadHead& head) {
  if (head.cut == 0) return false;
  switch (static_cast<fbs::Codec>(head.codec)) {
    case fbs::Codec::Raw:
    case fbs::Codec::Lossless:
    case fbs::Codec::F16:
    case fbs::Codec::Int8:
      return head.quality == 0;
    case fbs::Codec::Coded:
      return true;
    case fbs::Codec::Jpeg:
    case fbs::Codec::PixelsU8:
    case fbs::Codec::JpegModelSize:
      break;
  }
  return false;
}

}  // namespace

std::string segment_name(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof(name), "%016llx.spool", static_cast<unsigned long long>(number));
  return name;
}

std::optional<std::uint64_t> segment_number(std::string_view name) {
  if (name.size() != 16 + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) return {};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 16, number, 16);
  if (error != std::errc{} || end != name.data() + 16 || number == 0) return {};
  if (segment_name(number) != name) return {};  // capitals
  return number;
}

SegmentHeaderBytes write_segment_header(const SegmentHeader& header) {
  SegmentHeaderBytes bytes{};
  store_little_endian<std::uint32_t>(bytes, 0, kSegmentMagic);
  store_little_endian<std::uint16_t>(bytes, 4, kSpoolVersion);
  store_little_endian<std::uint64_t>(bytes, 8, header.number);
  store_little_endian<std::uint64_t>(bytes, 16, header.salt);
  store_little_endian<std::uint32_t>(bytes, kCrcAt, crc32_of(std::span(bytes).first(kCrcAt)));
  return bytes;
}

Result<SegmentHeader> read_segment_header(std::span<const std::byte, kSegmentHeaderBytes> bytes) {
  if (load_little_endian<std::uint32_t>(bytes, 0) != kSegmentMagic) {
    return Status(StatusCode::kCorrupt, "not a spool segment");
  }
  if (load_little_endian<std::uint32_t>(bytes, kCrcAt) != crc32_of(bytes.first(kCrcAt))) {
    return Status(StatusCode::kCorrupt, "the segment's header is damaged");
  }
  const auto version = load_little_endian<std::uint16_t>(bytes, 4);
  if (version != kSpoolVersion) {
    return Status(StatusCode::kUnsupported, "spool format version " + std::to_string(version) +
                                                "; this agent reads version " +
                                                std::to_string(kSpoolVersion));
  }
  const SegmentHeader header{.number = load_little_endian<std::uint64_t>(bytes, 8),
                             .salt = load_little_endian<std::uint64_t>(bytes, 16)};
  if (load_little_endian<std::uint16_t>(bytes, 6) != 0 || header.number == 0 ||
      !all_zero(bytes.subspan(24, kCrcAt - 24))) {
    return Status(StatusCode::kCorrupt, "the segment's header has fields that version 1 has not");
  }
  return header;
}

std::uint32_t body_crc_start(std::uint64_t salt) {
  std::array<std::byte, 8> bytes;
  store_little_endian(std::span<std::byte>(bytes), 0, salt);
  return crc32_of(bytes);
}

SpoolRecordHeaderBytes write_record_header(const SpoolRecordHeader& header, std::uint64_t salt) {
  SpoolRecordHeaderBytes bytes{};
  store_little_endian<std::uint32_t>(bytes, 0, kRecordMagic);
  store_little_endian<std::uint16_t>(bytes, 4, static_cast<std::uint16_t>(header.type));
  store_little_endian<std::uint64_t>(bytes, 8, header.sequence);
  store_little_endian<std::uint64_t>(bytes, 16, header.request_id);
  store_little_endian<std::uint64_t>(bytes, 24, header.spool_ns);
  store_little_endian<std::uint64_t>(bytes, 32, static_cast<std::uint64_t>(header.wall_ns));
  store_little_endian<std::uint64_t>(bytes, 40, header.spent_bytes);
  store_little_endian<std::uint32_t>(bytes, 48, header.body_bytes);
  store_little_endian<std::uint32_t>(bytes, 52, header.body_crc);
  store_little_endian<std::uint32_t>(
      bytes, kCrcAt, crc32_of(std::span(bytes).first(kCrcAt), body_crc_start(salt)));
  return bytes;
}

std::optional<SpoolRecordHeader> read_record_header(
    std::span<const std::byte, kSpoolRecordHeaderBytes> bytes, std::uint64_t salt) {
  if (load_little_endian<std::uint32_t>(bytes, 0) != kRecordMagic) return {};
  if (load_little_endian<std::uint32_t>(bytes, kCrcAt) !=
      crc32_of(bytes.first(kCrcAt), body_crc_start(salt))) {
    return {};
  }
  const auto type = load_little_endian<std::uint16_t>(bytes, 4);
  if (type < 1 || type > 6 || load_little_endian<std::uint16_t>(bytes, 6) != 0 ||
      load_little_endian<std::uint32_t>(bytes, 56) != 0) {
    return {};
  }
  const SpoolRecordHeader header{
      .type = static_cast<SpoolRecordType>(type),
      .sequence = load_little_endian<std::uint64_t>(bytes, 8),
      .request_id = load_little_endian<std::uint64_t>(bytes, 16),
      .spool_ns = load_little_endian<std::uint64_t>(bytes, 24),
      .wall_ns = static_cast<std::int64_t>(load_little_endian<std::uint64_t>(bytes, 32)),
      .spent_bytes = load_little_endian<std::uint64_t>(bytes, 40),
      .body_bytes = load_little_endian<std::uint32_t>(bytes, 48),
      .body_crc = load_little_endian<std::uint32_t>(bytes, 52)};
  if (!id_fits(header) || !body_size_fits(header)) return {};
  return header;
}

std::uint64_t record_bytes(std::uint64_t body_bytes) {
  return (kSpoolRecordHeaderBytes + body_bytes + kSpoolAlignment - 1) / kSpoolAlignment *
         kSpoolAlignment;
}

std::vector<std::byte> write_opened(const OpenedBody& body) {
  std::vector<std::byte> bytes(kOpenedBytes);
  std::ranges::copy(body.boot_id, bytes.begin());
  store_little_endian<std::uint64_t>(bytes, 16, body.boot_ns);
  bytes[24] = static_cast<std::byte>(body.sync);
  store_little_endian<std::uint64_t>(bytes, 32, body.interval_ns);
  return bytes;
}

Result<OpenedBody> read_opened(std::span<const std::byte> body) {
  if (body.size() != kOpenedBytes || body[24] > std::byte{2} || !all_zero(body.subspan(25, 7))) {
    return bad_body("not an opening");
  }
  OpenedBody opened{.boot_ns = load_little_endian<std::uint64_t>(body, 16),
                    .sync = static_cast<SyncKind>(body[24]),
                    .interval_ns = load_little_endian<std::uint64_t>(body, 32)};
  std::ranges::copy(body.first(opened.boot_id.size()), opened.boot_id.begin());
  return opened;
}

std::vector<std::byte> write_accepted(const AcceptedBody& body) {
  std::vector<std::byte> bytes(kAcceptedHeadBytes + body.name.size() + body.path.size());
  store_little_endian<std::uint64_t>(bytes, 0, body.results_bytes);
  store_little_endian<std::uint64_t>(bytes, 8, body.file_bytes);
  store_little_endian<std::uint32_t>(bytes, 16, body.file_crc);
  store_little_endian<std::uint32_t>(bytes, 20, body.results_crc);
  store_little_endian<std::uint16_t>(bytes, 24, static_cast<std::uint16_t>(body.name.size()));
  store_little_endian<std::uint16_t>(bytes, 26, static_cast<std::uint16_t>(body.path.size()));
  std::memcpy(bytes.data() + kAcceptedHeadBytes, body.name.data(), body.name.size());
  std::memcpy(bytes.data() + kAcceptedHeadBytes + body.name.size(), body.path.data(),
              body.path.size());
  return bytes;
}

Result<AcceptedBody> read_accepted(std::span<const std::byte> body) {
  if (body.size() <= kAcceptedHeadBytes) return bad_body("not an acceptance");
  const std::size_t name_bytes = load_little_endian<std::uint16_t>(body, 24);
  const std::size_t path_bytes = load_little_endian<std::uint16_t>(body, 26);
  if (body.size() != kAcceptedHeadBytes + name_bytes + path_bytes) {
    return bad_body("not an acceptance");
  }
  const std::string_view texts(reinterpret_cast<const char*>(body.data()) + kAcceptedHeadBytes,
                               name_bytes + path_bytes);
  const AcceptedBody accepted{.results_bytes = load_little_endian<std::uint64_t>(body, 0),
                              .file_bytes = load_little_endian<std::uint64_t>(body, 8),
                              .file_crc = load_little_endian<std::uint32_t>(body, 16),
                              .results_crc = load_little_endian<std::uint32_t>(body, 20),
                              .name = std::string(texts.substr(0, name_bytes)),
                              .path = std::string(texts.substr(name_bytes))};
  if (!is_name(accepted.name) || !is_name(accepted.path) || !all_zero(body.subspan(28, 4))) {
    return bad_body("not an acceptance");
  }
  return accepted;
}

std::vector<std::byte> write_payload_head(const PayloadHead& head) {
  std::vector<std::byte> bytes(payload_head_bytes(head.form));
  bytes[0] = static_cast<std::byte>(head.form);
  bytes[1] = static_cast<std::byte>(head.codec);
  bytes[2] = static_cast<std::byte>(head.quality);
  store_little_endian<std::uint32_t>(bytes, 4, head.variant);
  store_little_endian<std::uint32_t>(bytes, 8, head.cut);
  std::ranges::copy(head.model, bytes.begin() + 16);
  if (head.form == PayloadHead::Form::kActivation) {
    store_little_endian<std::uint64_t>(bytes, kFileHeadBytes, head.wire_id);
  }
  return bytes;
}

Result<PayloadHead> read_payload_head(std::span<const std::byte> start, std::uint64_t body_bytes) {
  if (start.size() < kFileHeadBytes || start[0] > std::byte{1}) return bad_body("not a payload");
  PayloadHead payload{.form = static_cast<PayloadHead::Form>(start[0]),
                      .codec = std::to_integer<std::uint8_t>(start[1]),
                      .quality = std::to_integer<std::uint8_t>(start[2]),
                      .variant = load_little_endian<std::uint32_t>(start, 4),
                      .cut = load_little_endian<std::uint32_t>(start, 8)};
  const std::size_t head_bytes = payload_head_bytes(payload.form);
  if (start.size() < head_bytes || body_bytes <= head_bytes)
    return bad_body("a payload of nothing");
  if (start[3] != std::byte{0} || !all_zero(start.subspan(12, 4))) return bad_body("not a payload");
  std::ranges::copy(start.subspan(16, payload.model.size()), payload.model.begin());
  if (payload.form == PayloadHead::Form::kFile) {
    const bool plain =
        payload.codec == 0 && payload.quality == 0 && payload.variant == 0 && payload.cut == 0;
    if (!plain) return bad_body("a file with a codec");
    return payload;
  }
  payload.wire_id = load_little_endian<std::uint64_t>(start, kFileHeadBytes);
  if (!is_of_tensors(payload)) return bad_body("an activation that crosses no cut");
  return payload;
}

std::vector<std::byte> write_replaced(const ReplacedBody& body) {
  const std::vector<std::byte> accepted =
      body.source.name.empty() ? std::vector<std::byte>{} : write_accepted(body.source);
  const std::vector<std::byte> head = write_payload_head(body.head);
  std::vector<std::byte> bytes(kReplacedHeadBytes + accepted.size() + head.size());
  store_little_endian<std::uint64_t>(bytes, 0, body.sequence);
  store_little_endian<std::uint64_t>(bytes, 8, body.accepted_ns);
  store_little_endian<std::uint32_t>(bytes, 16, static_cast<std::uint32_t>(accepted.size()));
  const auto rest = std::ranges::copy(accepted, bytes.begin() + kReplacedHeadBytes).out;
  std::ranges::copy(head, rest);
  return bytes;
}

Result<ReplacedStart> read_replaced(std::span<const std::byte> start, std::uint64_t body_bytes) {
  if (start.size() <= kReplacedHeadBytes || !all_zero(start.subspan(20, 4))) {
    return bad_body("not a replacement");
  }
  ReplacedStart replaced;
  replaced.body.sequence = load_little_endian<std::uint64_t>(start, 0);
  replaced.body.accepted_ns = load_little_endian<std::uint64_t>(start, 8);
  const std::size_t accepted_bytes = load_little_endian<std::uint32_t>(start, 16);
  const auto rest = start.subspan(kReplacedHeadBytes);
  if (replaced.body.sequence == 0 || accepted_bytes >= rest.size()) {
    return bad_body("not a replacement");
  }
  if (accepted_bytes > 0) {
    CLEAVE_ASSIGN_OR_RETURN(replaced.body.source, read_accepted(rest.first(accepted_bytes)));
  }
  const std::size_t before = kReplacedHeadBytes + accepted_bytes;
  CLEAVE_ASSIGN_OR_RETURN(replaced.body.head,
                          read_payload_head(rest.subspan(accepted_bytes), body_bytes - before));
  replaced.head_bytes = before + payload_head_bytes(replaced.body.head.form);
  return replaced;
}

}  // namespace cleave::agent
