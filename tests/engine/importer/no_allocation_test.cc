// SPDX-License-Identifier: Apache-2.0
//
// Networks of the literature run without allocating: not by operator new, not inside XNNPACK.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "engine/executor.h"
#include "engine/importer/importer.h"
#include "engine/memory/counting_allocator.h"
#include "tests/engine/counting_new.h"

namespace cleave::importer {
namespace {

struct Case {
  std::string network;
  ZooOptions options;
};

std::shared_ptr<const ModelFile> open_zoo(const Case& c) {
  auto graph = make_zoo_model(c.network, c.options);
  REQUIRE(graph.is_ok());
  REQUIRE(compile(*graph).is_ok());
  const auto bytes = build_model_file(*graph);
  REQUIRE(bytes.is_ok());
  auto file = ModelFile::from_bytes(*bytes);
  REQUIRE(file.is_ok());
  return *file;
}

void check_runs(Executor& executor, OpRange range) {
  REQUIRE(executor.prepare(range, 1).is_ok());
  for (const BoundaryBuffer& input : executor.inputs()) {
    std::ranges::fill(input.f32(), 0.5F);
  }
  const std::uint64_t news = test::operator_new_calls();
  const std::uint64_t allocations = allocation_counts().allocations;
  for (int run = 0; run < 2; ++run) REQUIRE(executor.run().is_ok());
  CHECK(test::operator_new_calls() == news);
  CHECK(allocation_counts().allocations == allocations);
}

}  // namespace

TEST_CASE("runs of VGG-16, AlexNet and MobileNetV2 allocate nothing, whole, heads and tails") {
  for (const Case& c : {Case{"vgg16", {}}, Case{"alexnet", {}}, Case{"mobilenet_v2", {}}}) {
    CAPTURE(c.network);
    const auto file = open_zoo(c);
    const OpIndex ops = file->header().variants()->Get(0)->ops()->size();
    const auto weights = Weights::create(file, 0, {0, ops});
    REQUIRE(weights.is_ok());
    for (const unsigned threads : {1U, 2U}) {
      CAPTURE(threads);
      const auto executor = Executor::create(*weights, {.threads = threads});
      REQUIRE(executor.is_ok());
      for (const OpRange range : {OpRange{0, ops}, OpRange{0, ops / 2}, OpRange{ops / 2, ops}}) {
        check_runs(**executor, range);
      }
    }
  }
}

}  // namespace cleave::importer
