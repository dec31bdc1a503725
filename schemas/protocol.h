// SPDX-License-Identifier: Apache-2.0
//
// What the two ends of a connection agree on in Hello and Welcome: one version, and the features
// that both have. Rules: schemas/wire_format.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "schemas/frame.h"

namespace cleave {

// Bits of Hello.features and Welcome.features. A bit is never used again for something else.
inline constexpr std::uint64_t kFeatureHeartbeat = 1U << 0;  // the agent keeps to heartbeat_ms
inline constexpr std::uint64_t kFeatureCancel = 1U << 1;     // Cancel
// The agent never uses a request id again, not even after a restart, but to resend that request:
// the server may answer it from memory.
inline constexpr std::uint64_t kFeatureResend = 1U << 2;
inline constexpr std::uint64_t kFeatureBoundaryCodecs = 1U << 3;  // Lossless, F16, Int8, Coded
inline constexpr std::uint64_t kFeatureFetch = 1U << 4;  // Fetch, Piece, Welcome.current_model
// Welcome.profile may be of version 4: with what the codecs of boundary tensors take to decode.
inline constexpr std::uint64_t kFeatureCodecTimes = 1U << 5;
inline constexpr std::uint64_t kFeatureJpegModelSize = 1U << 6;  // codec JpegModelSize
// All of them. A server has each, and a golden frame shows each.
inline constexpr std::uint64_t kKnownFeatures =
    kFeatureHeartbeat | kFeatureCancel | kFeatureResend | kFeatureBoundaryCodecs | kFeatureFetch |
    kFeatureCodecTimes | kFeatureJpegModelSize;

// A peer that was silent for so many heartbeats is gone.
inline constexpr std::uint32_t kHeartbeatsBeforeGone = 3;

struct VersionRange {
  std::uint16_t lowest = 0;
  std::uint16_t highest = 0;
};

inline constexpr VersionRange kSpokenVersions{kLowestProtocolVersion, kProtocolVersion};

// What a Hello with these fields offers: without a lowest_version (0) just the one.
constexpr VersionRange offered_versions(std::uint16_t protocol_version,
                                        std::uint16_t lowest_version) {
  return {lowest_version == 0 ? protocol_version : lowest_version, protocol_version};
}

// The highest version that both speak; nothing when there is none.
constexpr std::optional<std::uint16_t> highest_common_version(VersionRange one,
                                                              VersionRange other) {
  const std::uint16_t highest = std::min(one.highest, other.highest);
  if (highest < std::max(one.lowest, other.lowest)) return std::nullopt;
  return highest;
}

}  // namespace cleave
