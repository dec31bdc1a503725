// SPDX-License-Identifier: Apache-2.0
//
// Networks of the literature run without allocating: not by operator new, not inside XNNPACK; in
// every precision, with either preference.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>

#include "engine/executor.h"
#include "engine/memory/counting_allocator.h"
#include "tests/engine/counting_new.h"
#include "tests/engine/importer/zoo_forms.h"

namespace cleave::importer {
namespace {

std::shared_ptr<const ModelFile> open(const VariantGraph& variant) {
  const auto bytes = build_model_file(std::span(&variant, 1));
  REQUIRE(bytes.is_ok());
  auto file = ModelFile::from_bytes(*bytes);
  REQUIRE(file.is_ok());
  return *file;
}

void check_runs(Executor& executor, OpRange range, int runs) {
  REQUIRE(executor.prepare(range, 1).is_ok());
  for (const BoundaryBuffer& input : executor.inputs()) {
    std::ranges::fill(input.as_bytes(), std::byte{0});
  }
  const std::uint64_t news = test::operator_new_calls();
  const std::uint64_t allocations = allocation_counts().allocations;
  for (int run = 0; run < runs; ++run) REQUIRE(executor.run().is_ok());
  CHECK(test::operator_new_calls() == news);
  CHECK(allocation_counts().allocations == allocations);
}

// What f32 with a preference for speed has shown of heads, tails and threads is not run again.
void check_form(const std::shared_ptr<const ModelFile>& file, const ZooForm& form) {
  const OpIndex ops = file->header().variants()->Get(0)->ops()->size();
  const auto weights = Weights::create(file, 0, {0, ops}, {.preference = form.preference});
  REQUIRE(weights.is_ok());
  const bool first = form.precision == Precision::kF32 && form.preference == Preference::kSpeed;
  for (const unsigned threads : {1U, 2U}) {
    CAPTURE(threads);
    if (!first && threads == 1) continue;
    const auto executor = Executor::create(*weights, {.threads = threads});
    REQUIRE(executor.is_ok());
    check_runs(**executor, {0, ops}, first ? 2 : 1);
    if (!first) continue;
    check_runs(**executor, {0, ops / 2}, 2);
    check_runs(**executor, {ops / 2, ops}, 2);
  }
}

}  // namespace

TEST_CASE("runs of VGG-16, AlexNet and MobileNetV2 allocate nothing, whole, heads and tails") {
  for (const char* name : {"vgg16", "alexnet", "mobilenet_v2"}) {
    CAPTURE(name);
    ZooNetwork network(name);
    for (const ZooForm& form : kZooForms) {
      CAPTURE(form.name);
      CAPTURE(preference_name(form.preference));
      check_form(open(network.variant(form)), form);
    }
  }
}

}  // namespace cleave::importer
