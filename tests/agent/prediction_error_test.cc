// SPDX-License-Identifier: Apache-2.0
#include "agent/prediction_error.h"

#include <doctest/doctest.h>

namespace cleave::agent {
namespace {

Record answered(const PartTimes& predicted, const PartTimes& actual) {
  Record record;
  record.predicted = predicted;
  record.edge_ns = actual.edge_ns;
  record.rx_ns = actual.link_ns / 3;
  record.tx_ns = actual.link_ns - record.rx_ns;
  record.server_ns = actual.server_ns;
  record.total_ns = actual.total_ns();
  return record;
}

}  // namespace

TEST_CASE("an error is a share of what it really was") {
  CHECK(error_ppm(110, 100) == 100'000);
  CHECK(error_ppm(90, 100) == 100'000);
  CHECK(error_ppm(0, 100) == 1'000'000);
  CHECK(error_ppm(100, 0) == 1'000'000);
  CHECK(error_ppm(0, 0) == 0);
  CHECK(error_ppm(UINT64_MAX, 1) == UINT64_MAX);
}

TEST_CASE("medians of the parts and of the total") {
  PredictionErrors errors;
  CHECK_FALSE(errors.median().has_value());
  errors.observe(answered({100, 200, 300}, {100, 400, 300}));
  errors.observe(answered({110, 200, 300}, {100, 200, 300}));
  errors.observe(answered({150, 220, 390}, {100, 200, 300}));
  CHECK(errors.pictures() == 3);
  CHECK(errors.median()->edge_ppm == 100'000);
  CHECK(errors.median()->link_ppm == 100'000);
  CHECK(errors.median()->server_ppm == 0);
  CHECK(errors.median()->total_ppm == 250'000);
}

TEST_CASE("pictures that did not end as planned say nothing") {
  PredictionErrors errors;
  Record failed = answered({1, 2, 3}, {1, 2, 3});
  failed.status = {StatusCode::kUnavailable, "gone"};
  Record fallen_back = answered({1, 2, 3}, {1, 2, 3});
  fallen_back.fallback = "busy";
  errors.observe(failed);
  errors.observe(fallen_back);
  errors.observe(answered({}, {1, 2, 3}));
  CHECK(errors.pictures() == 0);
}

TEST_CASE("a device alone has no error of a link, and old pictures are forgotten") {
  PredictionErrors errors;
  for (std::size_t i = 0; i < 80; ++i) errors.observe(answered({300, 0, 0}, {100, 0, 0}));
  CHECK(errors.median()->link_ppm == 0);
  CHECK(errors.median()->edge_ppm == 2'000'000);
  for (std::size_t i = 0; i < 60; ++i) errors.observe(answered({100, 0, 0}, {100, 0, 0}));
  CHECK(errors.pictures() == 140);
  CHECK(errors.median()->edge_ppm == 0);
}

}  // namespace cleave::agent
