// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_folder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "schemas/model_preamble.h"
#include "tests/support/sample_models.h"
#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

constexpr ModelIdentity kFirst{1}, kSecond{2}, kThird{3};

Result<ModelFolderState> parse(const std::string& text) {
  return parse_model_folder_state(std::as_bytes(std::span(text)));
}

void write(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// Header and state of a sample model; segments as far as `segments` says.
std::shared_ptr<const ModelFile> store(const std::string& folder, std::uint32_t segments) {
  const auto file = ModelFile::from_bytes(test::all_ops_model().build());
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  const ModelFile& model = **file;
  REQUIRE(store_model_header(folder, model.identity(), model.header_bytes()).is_ok());
  REQUIRE(write_model_folder_state(folder, {.current = model.identity()}).is_ok());
  for (std::uint32_t i = 0; i < segments; ++i) {
    write(model_segment_path(folder, segment_sha256(*model.header().segments()->Get(i))),
          model.segment(i));
  }
  return *file;
}

}  // namespace

TEST_CASE("a model folder's state comes back as it was written") {
  const ModelFolderState state{.current = kFirst,
                               .previous = kSecond,
                               .trial = ModelFolderState::Trial{.identity = kThird, .starts = 2},
                               .refused = {kSecond, kThird}};
  const auto read = parse(format_model_folder_state(state));
  REQUIRE_MESSAGE(read.is_ok(), read.status().message());
  CHECK(read->current == kFirst);
  CHECK(read->previous == kSecond);
  REQUIRE(read->trial);
  CHECK(read->trial->identity == kThird);
  CHECK(read->trial->starts == 2);
  CHECK(read->refused == state.refused);
  ModelFolderState many{.current = kFirst};
  many.refused.assign(kMaxRefusedModels + 5, kSecond);
  many.refused.back() = kThird;
  const auto bounded = parse(format_model_folder_state(many));
  REQUIRE(bounded.is_ok());
  CHECK(bounded->refused.size() == kMaxRefusedModels);
  CHECK(bounded->refused.back() == kThird);
}

TEST_CASE("each thing wrong with a state is noticed, and so is every truncation") {
  const std::string digest = to_hex(kFirst);
  const std::string good = "cleave-models 1\ncurrent " + digest + "\n";
  CHECK(parse(good).is_ok());
  for (const std::string& bad :
       {std::string(), "cleave-models 2\ncurrent " + digest + "\n", good + "x", good + "\n",
        std::string("cleave-models 1\n"), good + "later " + digest + "\n",
        good + "previous " + digest.substr(1) + "\n", good + "refused " + digest + "0\n",
        good + "trial " + digest + "\n", good + "trial x " + digest + "\n",
        good + "trial 99999999999 " + digest + "\n", std::string(100, '\n')}) {
    CAPTURE(bad);
    CHECK(parse(bad).status().code() == StatusCode::kCorrupt);
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(parse(good.substr(0, length)).is_ok());
  }
}

TEST_CASE("a model folder is a model of which only some weights are held") {
  const test::TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
  CHECK(ModelFile::open(folder).status().code() == StatusCode::kNotFound);
  const auto whole = store(folder, 1);
  REQUIRE(whole->header().segments()->size() > 1);
  const auto held = ModelFile::open(folder);
  REQUIRE_MESSAGE(held.is_ok(), held.status().message());
  CHECK((*held)->identity() == whole->identity());
  CHECK((*held)->has_segment(0));
  CHECK_FALSE((*held)->has_segment(1));
  CHECK_FALSE((*held)->is_whole());
  CHECK((*held)->file_bytes() == whole->file_bytes());
  CHECK((*held)->stored_bytes() < whole->file_bytes());
  CHECK(std::ranges::equal((*held)->segment(0), whole->segment(0)));
  CHECK((*held)->verify_segments().is_ok());

  store(folder, whole->header().segments()->size());
  const auto all = ModelFile::open(folder);
  REQUIRE(all.is_ok());
  CHECK((*all)->is_whole());
  CHECK((*all)->verify_segments().is_ok());
}

TEST_CASE("a held segment of another length or content is not taken for the model's") {
  const test::TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
  const auto whole = store(folder, 2);
  const auto path = [&](std::uint32_t i) {
    return model_segment_path(folder, segment_sha256(*whole->header().segments()->Get(i)));
  };
  std::vector<std::byte> spoiled(whole->segment(0).begin(), whole->segment(0).end());
  spoiled[0] ^= std::byte{1};
  write(path(0), spoiled);
  write(path(1), whole->segment(1).first(whole->segment(1).size() - 1));
  const auto held = ModelFile::open(folder);
  if (held.is_ok()) {
    CHECK_FALSE((*held)->has_segment(1));
    CHECK((*held)->verify_segments().code() == StatusCode::kCorrupt);
  } else {
    CHECK(held.status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("a header under another name, or cut short, is not read") {
  const test::TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
  const auto whole = store(folder, 0);
  const std::string path = model_header_path(folder, whole->identity());
  std::filesystem::copy_file(path, model_header_path(folder, kFirst));
  CHECK(ModelFile::open_held(folder, kFirst).status().code() == StatusCode::kCorrupt);
  CHECK(ModelFile::open_held(folder, kSecond).status().code() == StatusCode::kNotFound);
  for (const std::uintmax_t bytes : {std::uintmax_t{0}, std::uintmax_t{kModelPreambleBytes},
                                     std::filesystem::file_size(path) - 1}) {
    std::filesystem::resize_file(path, bytes);
    CHECK(ModelFile::open(folder).status().code() == StatusCode::kCorrupt);
  }
  CHECK(store_model_header(folder, kFirst, whole->header_bytes()).code() == StatusCode::kCorrupt);
}

TEST_CASE("pruning keeps what the versions in use need, and files that are not the folder's") {
  const test::TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
  const auto whole = store(folder, 2);
  write(model_segment_path(folder, kFirst), whole->segment(0));
  write(model_part_path(folder, kSecond), whole->segment(0));
  write(folder + "/notes.txt", whole->segment(0));
  const std::uint64_t removed = prune_model_folder(folder, {.current = whole->identity()});
  CHECK(removed == 2 * whole->segment(0).size());
  CHECK(std::filesystem::exists(folder + "/notes.txt"));
  const auto held = ModelFile::open(folder);
  REQUIRE(held.is_ok());
  CHECK((*held)->has_segment(1));
}

}  // namespace cleave
