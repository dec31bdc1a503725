// SPDX-License-Identifier: Apache-2.0
//
// Profiles (schemas/profile.fbs) as plain structs: read from a file or from a Welcome message,
// checked; written to a file, atomically; added to a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/generated/profile_generated.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint32_t kProfileFormatVersion =
    4;  // the newest; older ones are read as well
inline constexpr std::size_t kMaxProfileVariants = 16;
inline constexpr std::size_t kMaxProfileOps = 4096;  // the most that a variant can have
inline constexpr std::size_t kMaxProfileLayers = 4096;
// Each of a variant and a codec, in version 4 also of a level of quality.
inline constexpr std::size_t kMaxProfileCoded = 256;
inline constexpr std::size_t kMaxProfileCodedBefore4 = 48;
inline constexpr std::uint32_t kMaxComparedPictures = 1'000'000;
inline constexpr std::uint64_t kMaxCodedBytes = std::uint64_t{1} << 40;
// No op or input takes an hour; sums over all ops then stay far inside 64 bits.
inline constexpr std::uint64_t kMaxProfileNs = 3'600'000'000'000;

// Measured time of each op of one variant, by one number of threads.
struct VariantProfile {
  std::string variant;
  std::uint32_t threads = 1;
  std::uint32_t runs = 0;  // how many runs the figures come from
  std::vector<std::uint64_t> op_median_ns = {};
  std::vector<std::uint64_t> op_p95_ns = {};  // as many
  // Of the model's layers: each run's sum of a layer's ops. As many of each; none in version 1.
  std::vector<std::uint64_t> layer_median_ns = {}, layer_p95_ns = {};
  // Pictures whose best class was compared with the first variant's, and those where it is another.
  std::uint32_t compared_pictures = 0, differing_pictures = 0;
  friend bool operator==(const VariantProfile&, const VariantProfile&) = default;
};

// What crosses at some cuts of a variant in one codec, over the sample pictures.
struct CodedBytes {
  std::string variant;
  std::uint8_t codec = 0;                  // fbs::Codec; a number that is not known here is kept
  std::vector<std::uint32_t> op_boundary;  // strictly ascending
  std::vector<std::uint64_t> median_bytes, p95_bytes;  // as many
  std::uint8_t quality = 0;    // Coded: the level; JpegModelSize: libjpeg's, of a server 0
  std::uint32_t pictures = 0;  // behind the bytes; 0: a made-up picture, or the model alone
  // Median times of one thread. As many as cuts, or none: not measured.
  std::vector<std::uint64_t> encode_ns = {}, decode_ns = {};
  // Pictures whose best class was compared with and without the codec, and at each cut (as many as
  // cuts, or none) those of them for which it is another one with it.
  std::uint32_t compared_pictures = 0;
  std::vector<std::uint32_t> differing_pictures = {};
  friend bool operator==(const CodedBytes&, const CodedBytes&) = default;
};

struct ProfileData {
  Sha256Digest model_identity{};
  std::string processor;       // what the kernel calls the CPU, and its core count
  std::uint64_t input_ns = 0;  // decode + resize + normalize of one sample picture, median
  std::vector<VariantProfile> variants;  // none twice with the same number of threads
  std::uint32_t clock_khz = 0;           // at which the times were measured; 0: not known
  std::uint32_t cores = 0;               // that the process could use then; 0: not known
  std::uint32_t sample_pictures = 0;     // behind `coded`
  std::vector<CodedBytes> coded = {};
  friend bool operator==(const ProfileData&, const ProfileData&) = default;
};

// What `profile` has of a codec and level for a variant, which lives as long as it; null without.
[[nodiscard]] const CodedBytes* find_coded(const ProfileData& profile, std::string_view variant,
                                           std::uint8_t codec, std::uint8_t quality);

// The table of the variant of that name, which lives as long as `profile`; null without one.
[[nodiscard]] const VariantProfile* find_variant(const ProfileData& profile, std::string_view name);

// What can be said of a verified profile without its model: version, lengths, caps, texts, at least
// one thread and variant. Errors: kCorrupt, kUnsupported (another format version).
// That it has as many ops as the model's variant is checked where the model is known.
[[nodiscard]] Status check_profile(const fbs::Profile& profile);

// The profile of a message that parse_message() returned, or of any verified buffer.
// Errors: as check_profile().
[[nodiscard]] Result<ProfileData> profile_from_message(const fbs::Profile& profile);

// Adds `profile` to a message under construction, as the lowest version that holds it. The
// processor text is cleaned (schemas/text_check.h).
[[nodiscard]] flatbuffers::Offset<fbs::Profile> build_profile(
    flatbuffers::FlatBufferBuilder& builder, const ProfileData& profile);

// A profile file's content, without its file: verified, checked, copied.
// REQUIRES: `bytes` are aligned to 8. Errors: kCorrupt, kUnsupported.
[[nodiscard]] Result<ProfileData> parse_profile(std::span<const std::byte> bytes);

// Reads the profile file at `path`. Errors: kNotFound, kIo, kCorrupt, kUnsupported, kMismatch (it
// is another model's than `identity`). Whether it is this processor's, the caller compares.
[[nodiscard]] Result<ProfileData> read_profile(const std::string& path,
                                               const Sha256Digest& identity);

// Writes `profile` to `path`: whole or not at all (schemas/atomic_file.h).
// Errors: kInvalidArgument (a profile that read_profile() would refuse), kIo.
[[nodiscard]] Status write_profile(const std::string& path, const ProfileData& profile);

}  // namespace cleave
