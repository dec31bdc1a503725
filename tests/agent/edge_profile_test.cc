// SPDX-License-Identifier: Apache-2.0
#include "agent/edge_profile.h"

#include <doctest/doctest.h>

#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

// Two variants of one network that differ by name only.
std::shared_ptr<const ModelFile> model_of_two_variants() {
  test::ModelBuilder builder({8, 8, 3});
  builder.fully_connected(
      builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1}), 5);
  auto model = ModelFile::from_bytes(builder.build([](fbs::ModelT& draft) {
    draft.variants.push_back(std::make_unique<fbs::VariantT>(*draft.variants[0]));
    draft.variants[0]->name = "first";
    draft.variants[1]->name = "second";
  }));
  REQUIRE_MESSAGE(model.is_ok(), model.status().message());
  return *model;
}

}  // namespace

TEST_CASE("every f32 variant is measured, or the one asked for alone") {
  const auto model = model_of_two_variants();
  const auto all = measure_profile(model, {.runs = 1}, {});
  REQUIRE(all.is_ok());
  REQUIRE(all->variants.size() == 2);
  const auto second = measure_profile(model, {.runs = 1, .variant = 1}, {});
  REQUIRE(second.is_ok());
  REQUIRE(second->variants.size() == 1);
  CHECK(second->variants[0].variant == "second");
  CHECK(second->variants[0].op_median_ns.size() == 2);
}

TEST_CASE("layers have a median and a percentile of their own") {
  const auto model = model_of_two_variants();
  const auto profile = measure_profile(model, {.runs = 5}, {});
  REQUIRE(profile.is_ok());
  for (const VariantProfile& variant : profile->variants) {
    REQUIRE(variant.layer_median_ns.size() == model->header().layers()->size());
    REQUIRE(variant.layer_p95_ns.size() == variant.layer_median_ns.size());
    for (std::size_t i = 0; i < variant.layer_median_ns.size(); ++i) {
      CHECK(variant.layer_median_ns[i] > 0);
      CHECK(variant.layer_p95_ns[i] >= variant.layer_median_ns[i]);
    }
  }
}

TEST_CASE("one file holds several numbers of threads, and each reader gets its own") {
  const auto model = model_of_two_variants();
  const test::TemporaryFolder folder;
  auto all = measure_profile(model, {.threads = 1, .runs = 1}, {});
  auto two = measure_profile(model, {.threads = 2, .runs = 1}, {});
  REQUIRE(all.is_ok());
  REQUIRE(two.is_ok());
  for (const VariantProfile& variant : two->variants) all->variants.push_back(variant);
  REQUIRE(write_profile(folder / "p", *all).is_ok());
  for (const unsigned threads : {1U, 2U}) {
    CAPTURE(threads);
    const auto read = load_profile(folder / "p", *model, threads);
    REQUIRE_MESSAGE(read.is_ok(), read.status().message());
    REQUIRE(read->variants.size() == 2);
    CHECK(read->variants[0].threads == threads);
    CHECK(read->variants[1].threads == threads);
  }
  const Status other = load_profile(folder / "p", *model, 3).status();
  CHECK(other.code() == StatusCode::kMismatch);
  CHECK(other.message() ==
        folder / "p" + " was measured with 1 and 2 threads; profile again with --threads 3");
}

TEST_CASE("a profile holds with fewer cores, and not for another processor") {
  const test::TemporaryFolder folder;
  const auto model = model_of_two_variants();
  auto profile = measure_profile(model, {.threads = 1, .runs = 1}, {});
  REQUIRE(profile.is_ok());
  const std::string here = profile->processor;
  const std::size_t cores = here.find(" core");
  REQUIRE(cores != std::string::npos);
  const std::size_t begin = here.rfind(", ", cores);
  const auto load = [&](const std::string& processor) {
    profile->processor = processor;
    REQUIRE(write_profile(folder / "p", *profile).is_ok());
    return load_profile(folder / "p", *model, 1).status();
  };
  const std::string rest = here.substr(here.find(", ", cores));
  CHECK(load(here.substr(0, begin) + ", 1 core" + rest).is_ok());
  CHECK(load(here.substr(0, begin) + ", 64 cores" + rest).is_ok());
  CHECK(load(here.substr(0, begin) + "x, 1 core" + rest).code() == StatusCode::kMismatch);
  CHECK(load(here.substr(0, begin) + ", 1 core, other kernels").code() == StatusCode::kMismatch);
}

TEST_CASE("a profile holds for one preference, as for one number of threads, and says which") {
  const auto model = model_of_two_variants();
  const test::TemporaryFolder folder;
  for (const Preference preference : {Preference::kSpeed, Preference::kMemory}) {
    const Preference other =
        preference == Preference::kSpeed ? Preference::kMemory : Preference::kSpeed;
    const std::string path = folder / preference_name(preference);
    const auto profile =
        measure_profile(model, {.runs = 1, .weights = {.preference = preference}}, {});
    REQUIRE(profile.is_ok());
    REQUIRE(write_profile(path, *profile).is_ok());
    CHECK(load_profile(path, *model, 1, preference).is_ok());
    const Status refused = load_profile(path, *model, 1, other).status();
    CHECK(refused.code() == StatusCode::kMismatch);
    CHECK(refused.message() == path + " was measured with --prefer " + preference_name(preference) +
                                   "; profile again with --prefer " + preference_name(other));
    CHECK(load_profile(path, *model, 2, preference).status().message().find("1 threads") !=
          std::string::npos);
  }
}

}  // namespace cleave::agent
