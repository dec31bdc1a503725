// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_reader.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "schemas/model_preamble.h"
#include "tests/support/model_walk.h"
#include "tests/support/sample_models.h"
#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

using test::all_ops_model;
using test::ModelBuilder;
using Bytes = std::vector<std::byte>;

constexpr ModelOpenOptions kVerify{.verify_segments = true};

void write(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

StatusCode code_of(const Bytes& bytes, const ModelOpenOptions& options = {}) {
  return ModelFile::from_bytes(bytes, options).status().code();
}

TEST_CASE("a model with every operator opens and says what was put in") {
  const Bytes bytes = all_ops_model().build();
  const auto file = ModelFile::from_bytes(bytes, kVerify);
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  const fbs::Model& model = (*file)->header();
  const fbs::Variant& variant = *model.variants()->Get(0);
  CHECK(variant.ops()->size() == 17);
  CHECK(model.segments()->size() == 4);
  CHECK(model.labels()->Get(3)->str() == "douglas fir");
  CHECK(model.layers()->size() == 17);
  CHECK(variant.ops()->Get(0)->clamp()->maximum() == 6.0f);
  CHECK((*file)->file_bytes() == bytes.size());
  CHECK((*file)->path().empty());
}

TEST_CASE("weights are where the views say, aligned for kernels") {
  ModelBuilder builder = all_ops_model();
  const auto file = ModelFile::from_bytes(builder.build());
  REQUIRE(file.is_ok());
  const fbs::Op& conv = *(*file)->header().variants()->Get(0)->ops()->Get(0);
  const auto kernel = (*file)->weight_bytes(conv, *conv.kernel());
  const auto bias = (*file)->weight_bytes(conv, *conv.bias());
  CHECK(kernel.size() == 4 * 3 * 3 * 3 * sizeof(float));
  CHECK(bias.size() == 4 * sizeof(float));
  CHECK(reinterpret_cast<std::uintptr_t>(kernel.data()) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(bias.data()) % 64 == 0);
  CHECK(std::equal(kernel.begin(), kernel.end(), builder.segments()[0].begin()));
  CHECK(std::equal((*file)->segment(3).begin(), (*file)->segment(3).end(),
                   builder.segments()[3].begin(), builder.segments()[3].end()));
}

TEST_CASE("a mapped file is the same model, also after its pages were given back") {
  const test::TemporaryFolder folder;
  const Bytes bytes = all_ops_model().build();
  write(folder / "m.cleave", bytes);
  const auto mapped = ModelFile::open(folder / "m.cleave", kVerify);
  const auto copied = ModelFile::from_bytes(bytes);
  REQUIRE_MESSAGE(mapped.is_ok(), mapped.status().message());
  CHECK((*mapped)->identity() == (*copied)->identity());
  CHECK((*mapped)->path() == folder / "m.cleave");
  CHECK(test::walk_model(**mapped) == test::walk_model(**copied));
  for (std::uint32_t i = 0; i < 4; ++i) (*mapped)->release_segment_pages(i);
  CHECK((*mapped)->verify_segments().is_ok());
  CHECK(test::walk_model(**mapped) == test::walk_model(**copied));
}

TEST_CASE("what is not there or not a file is said with its path") {
  const test::TemporaryFolder folder;
  const Status missing = ModelFile::open(folder / "none.cleave").status();
  CHECK(missing.code() == StatusCode::kNotFound);
  CHECK(missing.message().find("none.cleave") != std::string::npos);
  // A folder that no model was fetched into.
  CHECK(ModelFile::open(folder.path().string()).status().code() == StatusCode::kNotFound);
  write(folder / "empty", {});
  CHECK(ModelFile::open(folder / "empty").status().code() == StatusCode::kCorrupt);
  write(folder / "text", Bytes(1000, std::byte{'x'}));
  CHECK(ModelFile::open(folder / "text").status().code() == StatusCode::kCorrupt);
}

TEST_CASE("the same calls give the same bytes; other weights another identity") {
  CHECK(all_ops_model().build() == all_ops_model().build());
  ModelBuilder other = all_ops_model();
  other.segments()[2][0] ^= std::byte{1};
  CHECK((*ModelFile::from_bytes(other.build()))->identity() !=
        (*ModelFile::from_bytes(all_ops_model().build()))->identity());
}

TEST_CASE("a wrong hash, a missing commit mark, appended bytes") {
  const Bytes good = test::weightless_model().build();
  REQUIRE(code_of(good) == StatusCode::kOk);
  Bytes hash = good;
  hash[40] ^= std::byte{1};
  CHECK(ModelFile::from_bytes(hash).status().message().find("SHA-256") != std::string::npos);
  Bytes uncommitted = good;
  std::fill_n(uncommitted.begin() + kModelCommitOffset, 4, std::byte{0});
  CHECK(ModelFile::from_bytes(uncommitted).status().message().find("commit mark") !=
        std::string::npos);
  Bytes longer = good;
  longer.push_back(std::byte{0});
  CHECK(code_of(longer) == StatusCode::kCorrupt);
  test::reseal(longer, test::header_bytes_of(good));
  CHECK(code_of(longer) == StatusCode::kCorrupt);
}

// The next of the places of `file` where a test looks: each byte of preamble, header and segment,
// of the 64 KiB of zeros between them a sample, so that the test stays short.
std::size_t next_place(const Bytes& file, std::size_t at) {
  const std::size_t header_end = kModelPreambleBytes + test::header_bytes_of(file);
  constexpr std::size_t kStep = 499;
  return at > header_end && at + kStep < next_segment_offset(header_end) ? at + kStep : at + 1;
}

TEST_CASE("a file cut short anywhere does not open") {
  const Bytes good = test::full_header_model().build();
  REQUIRE(code_of(good) == StatusCode::kOk);
  for (std::size_t length = 0; length < good.size(); length = next_place(good, length)) {
    if (code_of({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)}) !=
        StatusCode::kCorrupt) {
      FAIL_CHECK("opened with " << length << " bytes");
    }
  }
}

TEST_CASE("a header cut short anywhere does not open, even with hash and lengths made right") {
  const Bytes good = test::weightless_model().build();
  const std::uint64_t header_bytes = test::header_bytes_of(good);
  for (std::uint64_t kept = 1; kept < header_bytes; ++kept) {
    Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(64 + kept));
    test::reseal(cut, kept);
    if (code_of(cut) != StatusCode::kCorrupt) FAIL_CHECK("opened with a header of " << kept);
  }
}

TEST_CASE("verification finds every changed byte, opening every changed byte of the header") {
  const Bytes good = test::full_header_model().build();
  const std::size_t header_end = kModelPreambleBytes + test::header_bytes_of(good);
  REQUIRE(code_of(good, kVerify) == StatusCode::kOk);
  for (std::size_t at = 0; at < good.size(); at = next_place(good, at)) {
    Bytes flipped = good;
    flipped[at] ^= std::byte{0x10};
    const StatusCode opened = code_of(flipped);
    if (at < header_end && opened == StatusCode::kOk) FAIL_CHECK("byte " << at << " opens");
    if (at >= header_end && opened != StatusCode::kOk) FAIL_CHECK("byte " << at << " is weights");
    if (code_of(flipped, kVerify) == StatusCode::kOk) FAIL_CHECK("byte " << at << " verifies");
  }
}

// The hash guards against accidents, not against malice: with it made right, whatever a bit of the
// header does must be either sound or found.
TEST_CASE("every bit of a header flipped, and sealed again: a sound model or a clean error") {
  for (ModelBuilder builder : {test::weightless_model(), test::full_header_model()}) {
    const Bytes good = builder.build();
    const auto identity = (*ModelFile::from_bytes(good))->identity();
    const std::uint64_t header_bytes = test::header_bytes_of(good);
    std::size_t sound = 0;
    for (std::size_t bit = 0; bit < 8 * header_bytes; ++bit) {
      Bytes flipped = good;
      flipped[64 + bit / 8] ^= std::byte{1} << (bit % 8);
      test::reseal(flipped, header_bytes);
      const auto file = ModelFile::from_bytes(flipped);
      const StatusCode code = file.status().code();
      if (code != StatusCode::kOk && code != StatusCode::kCorrupt &&
          code != StatusCode::kUnsupported) {
        FAIL_CHECK("bit " << bit << ": " << file.status().message());
      }
      if (!file.is_ok()) continue;
      ++sound;
      if ((*file)->identity() == identity) FAIL_CHECK("bit " << bit << ": same identity");
      CHECK(test::walk_model(**file) != 0);
    }
    CHECK(sound > 0);                 // bits of names and of numbers that are free
    CHECK(sound < 7 * header_bytes);  // and many that are not
  }
}

}  // namespace
}  // namespace cleave
