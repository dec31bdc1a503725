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
using test::sample_profile_v2;
using test::sample_profile_v4;

std::vector<std::byte> bytes_of(const ProfileData& profile) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishProfileBuffer(builder, build_profile(builder, profile));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("a profile is read as it was written") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.profile";
  ProfileData compared = sample_profile_v2();
  compared.variants[1].compared_pictures = 150;
  compared.variants[1].differing_pictures = 2;
  for (const ProfileData& profile :
       {sample_profile(), sample_profile_v2(), compared, sample_profile_v4()}) {
    REQUIRE(write_profile(path, profile).is_ok());
    const auto read = read_profile(path, sample_identity());
    REQUIRE_MESSAGE(read.is_ok(), read.status().message());
    CHECK(*read == profile);
  }
}

TEST_CASE("a profile is written as the lowest version that holds it") {
  const auto version = [](const ProfileData& profile) {
    const std::vector<std::byte> bytes = bytes_of(profile);
    return fbs::GetProfile(bytes.data())->format_version();
  };
  CHECK(version(sample_profile()) == 1);
  CHECK(version(sample_profile_v2()) == 2);
  const auto changed = [&](const std::function<void(ProfileData&)>& change) {
    ProfileData profile = sample_profile();
    change(profile);
    return version(profile);
  };
  CHECK(changed([](ProfileData& p) { p.clock_khz = 1; }) == 2);
  CHECK(changed([](ProfileData& p) { p.cores = 1; }) == 2);
  CHECK(changed([](ProfileData& p) { p.sample_pictures = 1; }) == 2);
  CHECK(changed([](ProfileData& p) { p.coded = sample_profile_v2().coded; }) == 2);
  CHECK(changed([](ProfileData& p) {
          p.variants[1].layer_median_ns = p.variants[1].layer_p95_ns = {1};
        }) == 2);
  CHECK(changed([](ProfileData& p) { p.variants[1].variant = p.variants[0].variant; }) == 2);
  CHECK(changed([](ProfileData& p) { p.variants[1].compared_pictures = 1; }) == 3);
  const auto coded = [&](const std::function<void(CodedBytes&)>& change) {
    return changed([&](ProfileData& p) {
      p.coded = sample_profile_v2().coded;
      change(p.coded[1]);
    });
  };
  CHECK(coded([](CodedBytes&) {}) == 2);
  CHECK(coded([](CodedBytes& c) { c.quality = 1; }) == 4);
  CHECK(coded([](CodedBytes& c) { c.pictures = 1; }) == 4);
  CHECK(coded([](CodedBytes& c) { c.encode_ns = {1}; }) == 4);
  CHECK(coded([](CodedBytes& c) { c.decode_ns = {1}; }) == 4);
  CHECK(coded([](CodedBytes& c) { c.compared_pictures = 1; }) == 4);
  CHECK(changed([](ProfileData& p) { p.coded.resize(49, sample_profile_v2().coded[0]); }) == 4);
}

TEST_CASE("a codec of a variant is found with its level") {
  const ProfileData profile = sample_profile_v4();
  const auto coded = static_cast<std::uint8_t>(fbs::Codec::Coded);
  REQUIRE(find_coded(profile, "f32", coded, 1) != nullptr);
  CHECK(find_coded(profile, "f32", coded, 1)->median_bytes[1] == 60);
  CHECK(find_coded(profile, "f32", coded, 0) == nullptr);
  CHECK(find_coded(profile, "qs8", coded, 1) == nullptr);
}

// A version 4 that calls itself an older one: its version is the profile's only 32-bit 4.
TEST_CASE("fields of version 4 under the name of an older one are refused") {
  std::vector<std::byte> bytes = bytes_of(sample_profile_v4());
  auto* profile = flatbuffers::GetMutableRoot<flatbuffers::Table>(bytes.data());
  for (const std::uint32_t version : {2U, 3U}) {
    REQUIRE(profile->SetField<std::uint32_t>(fbs::Profile::VT_FORMAT_VERSION, version, 1));
    const Status status = parse_profile(bytes).status();
    CHECK(status.code() == StatusCode::kCorrupt);
    CHECK(status.message().find("fields of version") != std::string::npos);
  }
}

// What an older reader would overlook cannot call itself old.
TEST_CASE("versions with fields of later ones, and versions that are none") {
  const auto bytes_as = [](std::uint32_t version, std::uint32_t clock_khz,
                           std::uint32_t compared = 0, std::uint32_t differing = 0) {
    flatbuffers::FlatBufferBuilder builder;
    const std::vector<std::uint64_t> times{1, 2};
    const auto name = builder.CreateString("f32");
    const auto median = builder.CreateVector(times);
    const auto p95 = builder.CreateVector(times);
    const std::vector variant{
        fbs::CreateVariantProfile(builder, name, 1, 1, median, p95, 0, 0, compared, differing)};
    const auto variants = builder.CreateVector(variant);
    const auto identity = builder.CreateVector(std::vector<std::uint8_t>(32));
    const auto processor = builder.CreateString("x");
    fbs::FinishProfileBuffer(
        builder, fbs::CreateProfile(builder, version, identity, processor, 0, variants, clock_khz));
    const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
    return parse_profile(std::vector<std::byte>(bytes.begin(), bytes.end())).status();
  };
  CHECK(bytes_as(1, 0).is_ok());
  CHECK(bytes_as(2, 0).is_ok());
  CHECK(bytes_as(2, 1'500'000).is_ok());
  CHECK(bytes_as(1, 1'500'000).code() == StatusCode::kCorrupt);
  CHECK(bytes_as(1, 1'500'000).message().find("version 1 with") != std::string::npos);
  CHECK(bytes_as(3, 1'500'000, 10, 10).is_ok());
  CHECK(bytes_as(2, 1'500'000, 10, 0).code() == StatusCode::kCorrupt);
  CHECK(bytes_as(1, 0, 10, 0).code() == StatusCode::kCorrupt);
  CHECK(bytes_as(3, 0, 10, 11).code() == StatusCode::kCorrupt);
  CHECK(bytes_as(3, 0, kMaxComparedPictures, 0).is_ok());
  CHECK(bytes_as(3, 0, kMaxComparedPictures + 1, 0).code() == StatusCode::kCorrupt);
  for (const std::uint32_t version : {0U, 5U, UINT32_MAX}) {
    CAPTURE(version);
    CHECK(bytes_as(version, 0).code() == StatusCode::kUnsupported);
    CHECK(bytes_as(version, 0).message().find("measure again") != std::string::npos);
  }
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
      {[](ProfileData& p) { p.variants[1] = p.variants[0]; }, "twice with the same"},
      {[](ProfileData& p) {
         p.variants[0].layer_median_ns = {1, 2};
       },
       "medians of layers"},
      {[](ProfileData& p) {
         p.variants[0].layer_median_ns.resize(4097);
         p.variants[0].layer_p95_ns.resize(4097);
       },
       "not 0..4096"},
      {[](ProfileData& p) {
         p.variants[0].layer_median_ns = {1};
         p.variants[0].layer_p95_ns = {kMaxProfileNs + 1};
       },
       "layer: an op's time is over"},
      {[](ProfileData& p) { p.coded.resize(257, sample_profile_v2().coded[0]); }, "257 codings"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[1].variant = "\n";
       },
       "control character"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[0].p95_bytes.pop_back();
       },
       "as many medians"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[0] = {
             .variant = "f32", .codec = 0, .op_boundary = {}, .median_bytes = {}, .p95_bytes = {}};
       },
       "not 1..4097 cuts"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[0].op_boundary = {2, 2};
       },
       "not ascending"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[1].op_boundary = {4097};
       },
       "beyond the last op"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v2().coded;
         p.coded[0].median_bytes[1] = kMaxCodedBytes + 1;
       },
       "more bytes than"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[3].encode_ns.pop_back();
       },
       "as many measurements"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[2].decode_ns.push_back(1);
       },
       "as many measurements"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[3].differing_pictures.push_back(0);
       },
       "as many measurements"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[3].differing_pictures[0] = 13;
       },
       "more pictures differ"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[3].encode_ns[0] = kMaxProfileNs + 1;
       },
       "over an hour"},
      {[](ProfileData& p) {
         p.coded = sample_profile_v4().coded;
         p.coded[2].pictures = kMaxComparedPictures + 1;
       },
       "over 1000000 pictures"},
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

TEST_CASE("every bit of a profile flipped, and every length: a profile or a clean error") {
  ProfileData profile = sample_profile();
  SUBCASE("version 1") {}
  SUBCASE("version 2") { profile = sample_profile_v2(); }
  SUBCASE("version 4") { profile = sample_profile_v4(); }
  const std::vector<std::byte> good = bytes_of(profile);
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
