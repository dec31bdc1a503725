// SPDX-License-Identifier: Apache-2.0
//
// Profiles (schemas/profile.fbs) as plain structs: read from a file or from a Welcome message,
// checked; written to a file, atomically; added to a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/generated/profile_generated.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint32_t kProfileFormatVersion = 1;
inline constexpr std::size_t kMaxProfileVariants = 16;
inline constexpr std::size_t kMaxProfileOps = 4096;  // the most that a variant can have
// No op or input takes an hour; sums over all ops then stay far inside 64 bits.
inline constexpr std::uint64_t kMaxProfileNs = 3'600'000'000'000;

// Measured time of each op of one variant, by one number of threads.
struct VariantProfile {
  std::string variant;
  std::uint32_t threads = 1;
  std::uint32_t runs = 0;  // how many runs the figures come from
  std::vector<std::uint64_t> op_median_ns;
  std::vector<std::uint64_t> op_p95_ns;  // as many
  friend bool operator==(const VariantProfile&, const VariantProfile&) = default;
};

struct ProfileData {
  Sha256Digest model_identity{};
  std::string processor;       // what the kernel calls the CPU, and its core count
  std::uint64_t input_ns = 0;  // decode + resize + normalize of one sample picture, median
  std::vector<VariantProfile> variants;
  friend bool operator==(const ProfileData&, const ProfileData&) = default;
};

// What can be said of a verified profile without its model: version, lengths, caps, texts, at least
// one thread and variant. Errors: kCorrupt, kUnsupported (another format version).
// That it has as many ops as the model's variant is checked where the model is known.
[[nodiscard]] Status check_profile(const fbs::Profile& profile);

// The profile of a message that parse_message() returned, or of any verified buffer.
// Errors: as check_profile().
[[nodiscard]] Result<ProfileData> profile_from_message(const fbs::Profile& profile);

// Adds `profile` to a message under construction. The processor text is cleaned
// (schemas/text_check.h).
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
