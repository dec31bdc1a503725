// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a spool's segments: agent/spool/spool_format.md. Pure functions over bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/status.h"

namespace cleave::agent {

inline constexpr std::uint16_t kSpoolVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kSpoolRecordHeaderBytes = 64;
inline constexpr std::size_t kSpoolAlignment = 8;
inline constexpr std::uint32_t kMaxSpoolBodyBytes = 64U << 20;
inline constexpr std::size_t kMaxSourceNameBytes = 4096;

struct SegmentHeader {
  std::uint64_t number = 0;
  std::uint64_t salt = 0;
};

enum class SpoolRecordType : std::uint16_t {
  kOpened = 1,
  kAccepted = 2,
  kPayload = 3,
  kReleased = 4,
  kClosed = 5,
  kReplaced = 6,
};

struct SpoolRecordHeader {
  SpoolRecordType type = SpoolRecordType::kOpened;
  std::uint64_t sequence = 0;
  std::uint64_t request_id = 0;
  std::uint64_t spool_ns = 0;
  std::int64_t wall_ns = 0;
  std::uint64_t spent_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t body_crc = 0;
};

using BootId = std::array<std::byte, 16>;

enum class SyncKind : std::uint8_t { kAlways = 0, kInterval = 1, kNever = 2 };

struct OpenedBody {
  BootId boot_id{};
  std::uint64_t boot_ns = 0;
  SyncKind sync = SyncKind::kAlways;
  std::uint64_t interval_ns = 0;
};

struct AcceptedBody {
  std::uint64_t results_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t file_crc = 0;
  std::uint32_t results_crc = 0;  // of the log's line that ends at results_bytes
  std::string name;               // as the user gave it
  std::string path;               // where its file is
};

// What a payload's bytes are: the picture's file, or the activation that a head computed of it, as
// the attachment of a Request. They stand behind write_payload_head().
struct PayloadHead {
  enum class Form : std::uint8_t { kFile = 0, kActivation = 1 };
  Form form = Form::kFile;
  std::uint8_t codec = 0;  // fbs::Codec, quality, variant and cut of a Request; 0 of a file
  std::uint8_t quality = 0;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  std::array<std::byte, 32> model{};  // its identity
  // Under which a server was asked with these bytes, so that it may know them again; 0: none was.
  std::uint64_t wire_id = 0;
  friend bool operator==(const PayloadHead&, const PayloadHead&) = default;
};
inline constexpr std::size_t kFileHeadBytes = 48;
inline constexpr std::size_t kActivationHeadBytes = 56;
[[nodiscard]] constexpr std::size_t payload_head_bytes(PayloadHead::Form form) {
  return form == PayloadHead::Form::kFile ? kFileHeadBytes : kActivationHeadBytes;
}

// A pending picture said anew as a whole, with another payload, which stands behind
// write_replaced(): what older records say of it holds no more.
struct ReplacedBody {
  std::uint64_t sequence = 0;     // of the record that accepted it
  std::uint64_t accepted_ns = 0;  // when that was, by the spool's clock
  AcceptedBody source;            // no name: its acceptance was lost
  PayloadHead head;
};
inline constexpr std::size_t kAcceptedHeadBytes = 32;
inline constexpr std::size_t kReplacedHeadBytes = 24;
// What write_replaced() makes at most.
inline constexpr std::size_t kMaxReplacedHeadBytes =
    kReplacedHeadBytes + kAcceptedHeadBytes + 2 * kMaxSourceNameBytes + kActivationHeadBytes;

[[nodiscard]] std::string segment_name(std::uint64_t number);
// The number in a segment's name; nothing when it is no such name.
[[nodiscard]] std::optional<std::uint64_t> segment_number(std::string_view name);

using SegmentHeaderBytes = std::array<std::byte, kSegmentHeaderBytes>;
using SpoolRecordHeaderBytes = std::array<std::byte, kSpoolRecordHeaderBytes>;

[[nodiscard]] SegmentHeaderBytes write_segment_header(const SegmentHeader& header);
// Errors: kCorrupt; kUnsupported (another version).
[[nodiscard]] Result<SegmentHeader> read_segment_header(
    std::span<const std::byte, kSegmentHeaderBytes> bytes);

[[nodiscard]] SpoolRecordHeaderBytes write_record_header(const SpoolRecordHeader& header,
                                                         std::uint64_t salt);
// Nothing when these bytes are no record's header in a segment of this salt.
[[nodiscard]] std::optional<SpoolRecordHeader> read_record_header(
    std::span<const std::byte, kSpoolRecordHeaderBytes> bytes, std::uint64_t salt);

// Of the parts of a body, one after the other; begin with body_crc_start().
[[nodiscard]] std::uint32_t body_crc_start(std::uint64_t salt);

// Bytes that a record with such a body takes in its segment.
[[nodiscard]] std::uint64_t record_bytes(std::uint64_t body_bytes);

[[nodiscard]] std::vector<std::byte> write_opened(const OpenedBody& body);
[[nodiscard]] std::vector<std::byte> write_accepted(const AcceptedBody& body);
[[nodiscard]] std::vector<std::byte> write_payload_head(const PayloadHead& head);
[[nodiscard]] std::vector<std::byte> write_replaced(const ReplacedBody& body);

// Errors: kCorrupt.
[[nodiscard]] Result<OpenedBody> read_opened(std::span<const std::byte> body);
[[nodiscard]] Result<AcceptedBody> read_accepted(std::span<const std::byte> body);
// `start` is the body's, at least as much of it as the head may take, or all of it; `body_bytes`
// that the whole has. Errors: kCorrupt, also when nothing stands behind the head.
[[nodiscard]] Result<PayloadHead> read_payload_head(std::span<const std::byte> start,
                                                    std::uint64_t body_bytes);
struct ReplacedStart {
  ReplacedBody body;
  std::size_t head_bytes = 0;  // of the record's body; its payload's bytes stand behind them
};
[[nodiscard]] Result<ReplacedStart> read_replaced(std::span<const std::byte> start,
                                                  std::uint64_t body_bytes);

}  // namespace cleave::agent
