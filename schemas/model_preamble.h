// SPDX-License-Identifier: Apache-2.0
//
// The first 64 bytes of a model file, and the numbers that its layout follows; shared by reader and
// writer. Grammar: schemas/model_format.md.
//
//   offset  bytes  field (little endian)
//   0       8      magic 89 43 4C 56 4D 0D 0A 1A
//   8       4      format version
//   12      4      commit mark: "DONE" when the file is complete, 0 while it is written
//   16      8      header_bytes
//   24      8      file_bytes
//   32      32     SHA-256 of the header: the model's identity
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint32_t kModelFormatVersion = 1;
inline constexpr std::size_t kModelPreambleBytes = 64;
// Where the commit mark stands, so that a writer can set it last.
inline constexpr std::size_t kModelCommitOffset = 12;
inline constexpr std::uint32_t kModelCommitted = 0x454e4f44;  // "DONE"
// Every segment starts on such a boundary: no two share a page, whatever the page size.
inline constexpr std::uint64_t kSegmentAlignment = 65536;
// WeightView.offset is a multiple of this, so that kernels can read rows where they are.
inline constexpr std::uint64_t kWeightViewAlignment = 64;

inline constexpr std::uint64_t kMaxModelHeaderBytes = 64u << 20;
// A finished FlatBuffer is a multiple of this long, so that not even its last padding can be lost.
inline constexpr std::uint64_t kModelHeaderUnit = 4;
inline constexpr std::uint64_t kMaxModelFileBytes = std::uint64_t{1} << 40;

struct ModelPreamble {
  bool committed = true;
  std::uint64_t header_bytes = 0;
  std::uint64_t file_bytes = 0;
  Sha256Digest header_sha256{};
};

// Writes the 64 bytes. Never fails.
[[nodiscard]] std::array<std::byte, kModelPreambleBytes> encode_model_preamble(
    const ModelPreamble& preamble);

// Reads and checks the 64 bytes alone; a preamble that it returns is committed, and its lengths are
// under the caps and agree with each other. Errors: kCorrupt (magic, commit mark, lengths),
// kUnsupported (another format version).
[[nodiscard]] Result<ModelPreamble> decode_model_preamble(
    std::span<const std::byte, kModelPreambleBytes> bytes);

// Where the next segment starts when the bytes before it end at `offset`.
[[nodiscard]] constexpr std::uint64_t next_segment_offset(std::uint64_t offset) {
  return (offset + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
}

}  // namespace cleave
