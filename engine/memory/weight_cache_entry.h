// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a file of the weight cache (weight_cache_format.md): a header of one page, the
// packed weights, a few zeros.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

// A change of the grammar. What decides the packed layout is in the key (ops/weight_cache_key.h).
inline constexpr std::uint32_t kWeightCacheVersion = 1;
inline constexpr std::size_t kWeightCacheHeaderBytes = 4096;
// Zeros after the payload: kernels read past their weights.
inline constexpr std::size_t kWeightCacheSlackBytes = 128;

using WeightCacheHeader = std::array<std::byte, kWeightCacheHeaderBytes>;

// A hash of 64 bits that notices every change of a single word and, but for one in 2^64, of
// several. About 8 bytes a cycle. Not for use against an attacker. The same on every machine.
[[nodiscard]] std::uint64_t hash_payload(std::span<const std::byte> payload);

// The header of a file that holds `payload` under `key`.
[[nodiscard]] WeightCacheHeader make_weight_cache_header(const Sha256Digest& key,
                                                         std::span<const std::byte> payload);

// The payload of `file`, checked: magic, version, header hash, key, length, and, if
// `check_payload`, the payload's hash. Reads nothing beyond `file`.
// Errors: kUnsupported (another version), kMismatch (another key), kCorrupt.
[[nodiscard]] Result<std::span<const std::byte>> check_weight_cache_file(
    std::span<const std::byte> file, const Sha256Digest& key, bool check_payload);

}  // namespace cleave
