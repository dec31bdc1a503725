// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_preamble.h"

#include <algorithm>
#include <string>

#include "schemas/little_endian.h"

namespace cleave {
namespace {

// As PNG does it: a first byte that no text has, and line ends that a text-mode copy would change.
constexpr std::array<std::byte, 8> kModelMagic = {std::byte{0x89}, std::byte{'C'}, std::byte{'L'},
                                                  std::byte{'V'},  std::byte{'M'}, std::byte{0x0d},
                                                  std::byte{0x0a}, std::byte{0x1a}};

constexpr std::size_t kModelVersionOffset = 8;
constexpr std::size_t kHeaderBytesOffset = 16;
constexpr std::size_t kFileBytesOffset = 24;
constexpr std::size_t kHashOffset = 32;

Status check_lengths(const ModelPreamble& preamble) {
  if (preamble.header_bytes == 0 || preamble.header_bytes > kMaxModelHeaderBytes ||
      preamble.header_bytes % kModelHeaderUnit != 0) {
    return corrupt("model preamble: header_bytes is " + std::to_string(preamble.header_bytes) +
                   ", must be a multiple of 4 up to " + std::to_string(kMaxModelHeaderBytes));
  }
  if (preamble.file_bytes < kModelPreambleBytes + preamble.header_bytes ||
      preamble.file_bytes > kMaxModelFileBytes) {
    return corrupt("model preamble: file_bytes is " + std::to_string(preamble.file_bytes) +
                   ", which cannot hold its header or is over the cap");
  }
  return Status::ok();
}

}  // namespace

std::array<std::byte, kModelPreambleBytes> encode_model_preamble(const ModelPreamble& preamble) {
  std::array<std::byte, kModelPreambleBytes> bytes{};
  std::copy(kModelMagic.begin(), kModelMagic.end(), bytes.begin());
  store_little_endian(bytes, kModelVersionOffset, kModelFormatVersion);
  store_little_endian(bytes, kModelCommitOffset, preamble.committed ? kModelCommitted : 0u);
  store_little_endian(bytes, kHeaderBytesOffset, preamble.header_bytes);
  store_little_endian(bytes, kFileBytesOffset, preamble.file_bytes);
  std::ranges::transform(preamble.header_sha256, bytes.begin() + kHashOffset,
                         [](std::uint8_t byte) { return std::byte{byte}; });
  return bytes;
}

Result<ModelPreamble> decode_model_preamble(std::span<const std::byte, kModelPreambleBytes> bytes) {
  if (!std::equal(kModelMagic.begin(), kModelMagic.end(), bytes.begin())) {
    return corrupt("not a cleave model file (its first bytes are another format's)");
  }
  const auto version = load_little_endian<std::uint32_t>(bytes, kModelVersionOffset);
  if (version != kModelFormatVersion) {
    return Status(StatusCode::kUnsupported, "model format version " + std::to_string(version) +
                                                "; this build reads version " +
                                                std::to_string(kModelFormatVersion) +
                                                ": import the source model again");
  }
  if (load_little_endian<std::uint32_t>(bytes, kModelCommitOffset) != kModelCommitted) {
    return corrupt("no commit mark: the file was not written to its end; import or copy it again");
  }
  ModelPreamble preamble;
  preamble.header_bytes = load_little_endian<std::uint64_t>(bytes, kHeaderBytesOffset);
  preamble.file_bytes = load_little_endian<std::uint64_t>(bytes, kFileBytesOffset);
  std::ranges::transform(bytes.subspan<kHashOffset>(), preamble.header_sha256.begin(),
                         [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  CLEAVE_RETURN_IF_ERROR(check_lengths(preamble));
  return preamble;
}

}  // namespace cleave
