// SPDX-License-Identifier: Apache-2.0
#include "schemas/profile_reader.h"

#include <doctest/doctest.h>

#include <functional>

#include "schemas/atomic_file.h"
#include "tests/support/sample_frames.h"
#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

using test::sample_identity;
using test::sample_profile;

std::vector<std::byte> bytes_of(const ProfileData& profile) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishProfileBuffer(builder, build_profile(builder, profile));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("a profile is read as it was written") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.profile";
  REQUIRE(write_profile(path, sample_profile()).is_ok());
  const auto read = read_profile(path, sample_identity());
  REQUIRE_MESSAGE(read.is_ok(), read.status().message());
  CHECK(*read == sample_profile());
}

TEST_CASE("a profile of another model is a mismatch, with the way out") {
  const test::TemporaryFolder folder;
  REQUIRE(write_profile(folder / "p", sample_profile()).is_ok());
  Sha256Digest other = sample_identity();
  other[31] ^= 1;
  const Status status = read_profile(folder / "p", other).status();
  CHECK(status.code() == StatusCode::kMismatch);
  CHECK(status.message().find("cleave-agent profile") != std::string::npos);
}

TEST_CASE("files that are no profile") {
  const test::TemporaryFolder folder;
  CHECK(read_profile(folder / "none", sample_identity()).status().code() == StatusCode::kNotFound);
  const std::vector<std::byte> zeros(100);
  REQUIRE(write_file_atomically(folder / "zeros", zeros).is_ok());
  const Status status = read_profile(folder / "zeros", sample_identity()).status();
  CHECK(status.code() == StatusCode::kCorrupt);
  CHECK(status.message().find("zeros") != std::string::npos);
}

TEST_CASE("profiles that break a rule are refused, and not written either") {
  struct Spoil {
    std::function<void(ProfileData&)> change;
    std::string expected;
  };
  const std::vector<Spoil> spoils = {
      {[](ProfileData& p) { p.variants.clear(); }, "0 variants"},
      {[](ProfileData& p) { p.variants.resize(17, p.variants[0]); }, "17 variants"},
      {[](ProfileData& p) { p.variants[0].threads = 0; }, "threads is 0"},
      {[](ProfileData& p) { p.variants[0].op_p95_ns.push_back(1); }, "as many 95th"},
      {[](ProfileData& p) {
         p.variants[0].op_median_ns.clear();
         p.variants[0].op_p95_ns.clear();
       },
       "not 1..4096"},
      {[](ProfileData& p) {
         p.variants[0].op_median_ns.resize(4097);
         p.variants[0].op_p95_ns.resize(4097);
       },
       "not 1..4096"},
      {[](ProfileData& p) { p.variants[1].op_p95_ns[2] = kMaxProfileNs + 1; }, "over an hour"},
      {[](ProfileData& p) { p.input_ns = ~std::uint64_t{0}; }, "input_ns"},
      {[](ProfileData& p) { p.variants[1].variant = "\n"; }, "control character"},
  };
  const test::TemporaryFolder folder;
  for (const Spoil& spoil : spoils) {
    ProfileData profile = sample_profile();
    spoil.change(profile);
    const Status read = parse_profile(bytes_of(profile)).status();
    CAPTURE(spoil.expected);
    CAPTURE(read.message());
    CHECK(read.code() == StatusCode::kCorrupt);
    CHECK(read.message().find(spoil.expected) != std::string::npos);
    CHECK(write_profile(folder / "p", profile).code() == StatusCode::kInvalidArgument);
    CHECK_FALSE(std::filesystem::exists(folder / "p"));
  }
}

TEST_CASE("another format version is unsupported") {
  flatbuffers::FlatBufferBuilder builder;
  const auto identity = builder.CreateVector(std::vector<std::uint8_t>(32));
  const auto processor = builder.CreateString("x");
  const auto variants =
      builder.CreateVector(std::vector<flatbuffers::Offset<fbs::VariantProfile>>());
  fbs::FinishProfileBuffer(builder,
                           fbs::CreateProfile(builder, 2, identity, processor, 0, variants));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  CHECK(parse_profile(bytes).status().code() == StatusCode::kUnsupported);
}

TEST_CASE("every bit of a profile flipped, and every length: a profile or a clean error") {
  const std::vector<std::byte> good = bytes_of(sample_profile());
  REQUIRE(parse_profile(good).is_ok());
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<std::byte> flipped = good;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    const StatusCode code = parse_profile(flipped).status().code();
    const bool clean =
        code == StatusCode::kOk || code == StatusCode::kCorrupt || code == StatusCode::kUnsupported;
    if (!clean) FAIL_CHECK("bit " << bit);
    if (code != StatusCode::kOk) ++refused;
  }
  CHECK(refused > good.size());
  for (std::size_t length = 0; length + 8 <= good.size(); ++length) {
    const std::vector<std::byte> cut(good.begin(),
                                     good.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK(parse_profile(cut).status().code() == StatusCode::kCorrupt);
  }
}

}  // namespace
}  // namespace cleave
