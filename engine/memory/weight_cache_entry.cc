// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/weight_cache_entry.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "schemas/little_endian.h"

namespace cleave {
namespace {

constexpr char kMagic[] = "CLVWCACH";
constexpr std::size_t kMagicBytes = sizeof(kMagic) - 1;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kHeaderBytesAt = 12;
constexpr std::size_t kPayloadBytesAt = 16;
constexpr std::size_t kPayloadHashAt = 24;
constexpr std::size_t kKeyAt = 32;
constexpr std::size_t kHeaderHashAt = 64;

// Several lanes, so that a multiplication need not wait for the one before it.
constexpr std::size_t kLanes = 8;
constexpr std::size_t kStripeBytes = kLanes * sizeof(std::uint64_t);
constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // odd, so that no value is lost

// A one-to-one function of either argument. The rotation carries what only changes high bits to
// where the next multiplication spreads it.
std::uint64_t mix(std::uint64_t lane, std::uint64_t word) {
  return std::rotl((lane ^ word) * kMultiplier, 31);
}

void mix_stripe(std::uint64_t (&lanes)[kLanes], const std::byte* bytes) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i * sizeof(word), sizeof(word));
    lanes[i] = mix(lanes[i], word);
  }
}

Status check_header(std::span<const std::byte> file, const Sha256Digest& key) {
  if (file.size() < kWeightCacheHeaderBytes) return corrupt("shorter than its header");
  if (std::memcmp(file.data(), kMagic, kMagicBytes) != 0) return corrupt("not packed weights");
  const auto version = load_little_endian<std::uint32_t>(file, kVersionAt);
  if (version != kWeightCacheVersion) {
    return {StatusCode::kUnsupported, "version " + std::to_string(version)};
  }
  if (load_little_endian<std::uint64_t>(file, kHeaderHashAt) !=
      hash_payload(file.first(kHeaderHashAt))) {
    return corrupt("the header's hash is wrong");
  }
  if (load_little_endian<std::uint32_t>(file, kHeaderBytesAt) != kWeightCacheHeaderBytes) {
    return corrupt("a header of another length");
  }
  if (std::memcmp(file.data() + kKeyAt, key.data(), key.size()) != 0) {
    return {StatusCode::kMismatch, "weights of another key"};
  }
  return Status::ok();
}

}  // namespace

std::uint64_t hash_payload(std::span<const std::byte> payload) {
  std::uint64_t lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = (i + 1) * kMultiplier;
  std::size_t done = 0;
  for (; done + kStripeBytes <= payload.size(); done += kStripeBytes) {
    mix_stripe(lanes, payload.data() + done);
  }
  if (done < payload.size()) {
    std::byte last[kStripeBytes] = {};
    std::memcpy(last, payload.data() + done, payload.size() - done);
    mix_stripe(lanes, last);
  }
  std::uint64_t hash = payload.size();
  for (const std::uint64_t lane : lanes) hash = mix(hash, lane);
  return hash ^ hash >> 32;
}

WeightCacheHeader make_weight_cache_header(const Sha256Digest& key,
                                           std::span<const std::byte> payload) {
  WeightCacheHeader header{};
  std::memcpy(header.data(), kMagic, kMagicBytes);
  store_little_endian(std::span(header), kVersionAt, kWeightCacheVersion);
  store_little_endian(std::span(header), kHeaderBytesAt,
                      static_cast<std::uint32_t>(kWeightCacheHeaderBytes));
  store_little_endian(std::span(header), kPayloadBytesAt, std::uint64_t{payload.size()});
  store_little_endian(std::span(header), kPayloadHashAt, hash_payload(payload));
  std::memcpy(header.data() + kKeyAt, key.data(), key.size());
  store_little_endian(std::span(header), kHeaderHashAt,
                      hash_payload(std::span(header).first(kHeaderHashAt)));
  return header;
}

Result<std::span<const std::byte>> check_weight_cache_file(std::span<const std::byte> file,
                                                           const Sha256Digest& key,
                                                           bool check_payload) {
  CLEAVE_RETURN_IF_ERROR(check_header(file, key));
  const auto bytes = load_little_endian<std::uint64_t>(file, kPayloadBytesAt);
  const std::size_t behind_header = file.size() - kWeightCacheHeaderBytes;
  if (behind_header < kWeightCacheSlackBytes || behind_header - kWeightCacheSlackBytes != bytes) {
    return corrupt("not as long as its header says");
  }
  const auto payload =
      file.subspan(kWeightCacheHeaderBytes, behind_header - kWeightCacheSlackBytes);
  if (check_payload &&
      load_little_endian<std::uint64_t>(file, kPayloadHashAt) != hash_payload(payload)) {
    return corrupt("the hash of the weights is wrong");
  }
  return payload;
}

}  // namespace cleave
