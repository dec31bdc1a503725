// SPDX-License-Identifier: Apache-2.0
//
// The weight cache with a model: what later processes find, and what they never use.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/weight_cache_folder.h"
#include "tests/engine/engine_harness.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<WeightCacheFolder> open_folder(const std::string& path) {
  auto folder = WeightCacheFolder::open({.path = path});
  require_ok(folder.status());
  return *folder;
}

// Ops: Winograd, depthwise, plain convolution, grouped convolution, fully connected.
ModelBuilder five_ops() {
  ModelBuilder builder({12, 12, 16});
  Tensor x = builder.conv2d(builder.input(), 32, WindowSpec{.window = 3, .pad = 1});
  x = builder.depthwise_conv2d(x, WindowSpec{.window = 3, .pad = 1});
  x = builder.conv2d(x, 24, WindowSpec{});
  x = builder.conv2d(x, 24, WindowSpec{.window = 3}, /*groups=*/4);
  builder.fully_connected(x, 10);
  return builder;
}
constexpr std::uint64_t kKept = 3;  // all but the depthwise and the fully connected one

struct Outcome {
  TensorMap scores;
  WeightCacheStats stats;
};

// As a process of its own would: opens the folder, makes weights, runs.
Outcome run_with(const std::shared_ptr<const ModelFile>& model, OpRange range,
                 const std::shared_ptr<WeightCacheFolder>& folder) {
  auto weights = Weights::create(model, 0, range, {.cache = folder});
  require_ok(weights.status());
  const fbs::Variant& variant = first_variant(*model);
  const Values input =
      random_values(element_count(*variant.tensors()->Get(variant.input())->shape()), 3);
  Outcome outcome;
  outcome.scores = run_range(*make_executor(*weights), range, 1, {{variant.input(), input}});
  if (folder != nullptr) outcome.stats = folder->stats();
  return outcome;
}

// Name, and what would change if the file were written again.
std::map<std::string, std::pair<ino_t, std::uintmax_t>> files_of(const fs::path& folder) {
  std::map<std::string, std::pair<ino_t, std::uintmax_t>> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat info {};
    REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    files[entry.path().filename()] = {info.st_ino, entry.file_size()};
  }
  return files;
}

}  // namespace

TEST_CASE("the second start packs nothing, and computes the same bits") {
  const TemporaryFolder home;
  const auto model = ModelFile::from_bytes(five_ops().build());
  require_ok(model.status());
  const Outcome without = run_with(*model, {0, 5}, nullptr);
  const Outcome first = run_with(*model, {0, 5}, open_folder(home / "cache"));
  CHECK(first.stats.mapped == 0);
  CHECK(first.stats.missing == kKept);
  CHECK(first.stats.stored == kKept);
  const Outcome second = run_with(*model, {0, 5}, open_folder(home / "cache"));
  CHECK(second.stats.mapped == kKept);
  CHECK(second.stats.missing == 0);
  CHECK(second.stats.stored == 0);
  CHECK(same_bytes(first.scores, without.scores));
  CHECK(same_bytes(second.scores, without.scores));
}

TEST_CASE("what is found is not read in the model file") {
  const TemporaryFolder home;
  ModelBuilder builder = five_ops();
  const auto whole = ModelFile::from_bytes(builder.build());
  require_ok(whole.status());
  const Outcome expected = run_with(*whole, {0, 5}, open_folder(home / "cache"));
  // The same header, hashes included, over other kernels in the ops that are kept.
  std::vector<std::byte> spoiled = builder.build();
  for (const OpIndex op : {0U, 2U, 3U}) {
    const auto segment =
        static_cast<std::uint32_t>(first_variant(**whole).ops()->Get(op)->segment());
    const fbs::Segment& place = *(*whole)->header().segments()->Get(segment);
    std::fill_n(spoiled.begin() + static_cast<std::ptrdiff_t>(place.offset()), place.bytes(),
                std::byte{0x42});
  }
  const auto model = ModelFile::from_bytes(spoiled);
  require_ok(model.status());
  REQUIRE((*model)->identity() == (*whole)->identity());
  const Outcome found = run_with(*model, {0, 5}, open_folder(home / "cache"));
  CHECK(same_bytes(found.scores, expected.scores));
  CHECK_FALSE(same_bytes(run_with(*model, {0, 5}, nullptr).scores, expected.scores));
}

TEST_CASE("weights of a segment without its hash are not kept") {
  const TemporaryFolder home;
  ModelBuilder builder = five_ops();
  std::vector<std::byte> bytes = builder.build();
  const auto whole = ModelFile::from_bytes(bytes);
  require_ok(whole.status());
  bytes[(*whole)->header().segments()->Get(0)->offset()] ^= std::byte{1};
  const auto damaged = ModelFile::from_bytes(bytes);
  require_ok(damaged.status());
  const auto folder = open_folder(home / "cache");
  CHECK(run_with(*damaged, {0, 5}, folder).stats.stored == kKept - 1);
  CHECK(folder->status().code() == StatusCode::kCorrupt);
  CHECK(folder->status().message().find("segment 0") != std::string::npos);
  // The repaired file is not given what the damaged one would have left.
  const Outcome repaired = run_with(*whole, {0, 5}, open_folder(home / "cache"));
  CHECK(repaired.stats.missing == 1);
  CHECK(same_bytes(repaired.scores, run_with(*whole, {0, 5}, nullptr).scores));
}

TEST_CASE("another cut only adds files") {
  const TemporaryFolder home;
  const auto model = ModelFile::from_bytes(five_ops().build());
  require_ok(model.status());
  run_with(*model, {0, 1}, open_folder(home / "cache"));
  const auto head = files_of(home.path() / "cache");
  CHECK(head.size() == 1);
  const Outcome deeper = run_with(*model, {0, 3}, open_folder(home / "cache"));
  CHECK(deeper.stats.mapped == 1);
  CHECK(deeper.stats.stored == 1);
  const auto more = files_of(home.path() / "cache");
  CHECK(more.size() == 2);
  for (const auto& [name, file] : head) CHECK(more.at(name) == file);
  CHECK(run_with(*model, {0, 1}, open_folder(home / "cache")).stats.missing == 0);
  CHECK(files_of(home.path() / "cache") == more);
}

TEST_CASE("a file of another op, or of a longer one, is packed again and replaced") {
  const TemporaryFolder home;
  const auto model = ModelFile::from_bytes(five_ops().build());
  require_ok(model.status());
  const Outcome expected = run_with(*model, {0, 5}, open_folder(home / "cache"));
  const auto files = files_of(home.path() / "cache");
  // Every file gets the bytes of its neighbour.
  for (auto file = files.begin(); file != files.end(); ++file) {
    const auto next = std::next(file) == files.end() ? files.begin() : std::next(file);
    fs::copy_file(home.path() / "cache" / next->first, home.path() / ("new-" + file->first));
  }
  for (const auto& [name, ignored] : files) {
    fs::rename(home.path() / ("new-" + name), home.path() / "cache" / name);
  }
  const Outcome again = run_with(*model, {0, 5}, open_folder(home / "cache"));
  CHECK(again.stats.refused == kKept);
  CHECK(again.stats.stored == kKept);
  CHECK(same_bytes(again.scores, expected.scores));
  CHECK(run_with(*model, {0, 5}, open_folder(home / "cache")).stats.mapped == kKept);
}

TEST_CASE("other weights or another shape have another key; another name has not") {
  const TemporaryFolder home;
  const auto stored_by = [&](ModelBuilder builder) {
    const auto model = ModelFile::from_bytes(builder.build());
    require_ok(model.status());
    return run_with(*model, {0, 1}, open_folder(home / "cache")).stats.stored;
  };
  const auto network = [](std::uint64_t seed, std::uint32_t pad) {
    ModelBuilder builder({8, 8, 16}, seed);
    builder.conv2d(builder.input(), 16, WindowSpec{.window = 3, .pad = pad});
    return builder;
  };
  CHECK(stored_by(network(1, 1)) == 1);
  CHECK(stored_by(network(1, 1)) == 0);
  CHECK(stored_by(network(2, 1)) == 1);
  CHECK(stored_by(network(1, 0)) == 1);
  ModelBuilder named = network(1, 1);
  named.set_name("another");
  named.op(0).name = "the same op";
  CHECK(stored_by(named) == 0);
}

TEST_CASE("what a file will take is known before it is written, within a few percent") {
  const TemporaryFolder home;
  // As wide as in real networks: XNNPACK fills up to 32 columns at most.
  ModelBuilder builder({12, 12, 64});
  Tensor x = builder.conv2d(builder.input(), 64, WindowSpec{.window = 3, .pad = 1});
  x = builder.depthwise_conv2d(x, WindowSpec{.window = 3, .pad = 1});
  x = builder.conv2d(x, 128, WindowSpec{});
  x = builder.conv2d(x, 128, WindowSpec{.window = 3}, /*groups=*/4);
  builder.fully_connected(x, 10);
  const auto model = ModelFile::from_bytes(builder.build());
  require_ok(model.status());
  for (OpIndex op = 0; op < 5; ++op) {
    CAPTURE(op);
    const auto folder = open_folder(home / ("cache" + std::to_string(op)));
    require_ok(Weights::create(*model, 0, {op, op + 1}, {.cache = folder}).status());
    const auto predicted = static_cast<double>(weight_cache_bytes(first_variant(**model), op));
    const auto found = static_cast<double>(folder->usage().bytes);
    CHECK(found == doctest::Approx(predicted).epsilon(0.05));
    CHECK((predicted == 0) == (found == 0));
  }
}

TEST_CASE("a folder that went away costs the files, not the run") {
  const TemporaryFolder home;
  const auto model = ModelFile::from_bytes(five_ops().build());
  require_ok(model.status());
  const auto folder = open_folder(home / "cache");
  fs::remove_all(home.path() / "cache");
  const Outcome outcome = run_with(*model, {0, 5}, folder);
  CHECK(outcome.stats.stored == 0);
  CHECK_FALSE(folder->status().is_ok());
  CHECK(folder->status().message().find(home / "cache") != std::string::npos);
  CHECK(same_bytes(outcome.scores, run_with(*model, {0, 5}, nullptr).scores));
}

}  // namespace cleave::test
