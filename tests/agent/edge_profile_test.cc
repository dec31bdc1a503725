// SPDX-License-Identifier: Apache-2.0
#include "agent/edge_profile.h"

#include <doctest/doctest.h>

#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

// Two variants of one network that differ by name only.
std::shared_ptr<const ModelFile> two_variants() {
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
  const auto model = two_variants();
  const auto all = measure_profile(model, {.runs = 1}, {});
  REQUIRE(all.is_ok());
  REQUIRE(all->variants.size() == 2);
  const auto second = measure_profile(model, {.runs = 1, .variant = 1}, {});
  REQUIRE(second.is_ok());
  REQUIRE(second->variants.size() == 1);
  CHECK(second->variants[0].variant == "second");
  CHECK(second->variants[0].op_median_ns.size() == 2);
}

TEST_CASE("a profile holds for one preference, as for one number of threads, and says which") {
  const auto model = two_variants();
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
