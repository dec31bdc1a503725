// SPDX-License-Identifier: Apache-2.0
//
// A model file with one thing wrong, and the error that must name it.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "schemas/model_reader.h"
#include "tests/support/model_walk.h"
#include "tests/support/sample_models.h"

namespace cleave::test {

struct Spoil {
  std::function<void(fbs::ModelT&)> change;
  std::string expected;  // part of the message
};

// Builds the model with `change` made to its header (hashes made right again) and opens it. The
// error must have `code` and contain `expected`; no error may come when `expected` is empty.
inline void check_spoiled(ModelBuilder (*make)(), const std::function<void(fbs::ModelT&)>& change,
                          const std::string& expected, StatusCode code = StatusCode::kCorrupt) {
  const auto file = ModelFile::from_bytes(make().build(change));
  const Status status = file.status();
  CAPTURE(expected);
  CAPTURE(status.message());
  if (expected.empty()) {
    REQUIRE(status.is_ok());
    CHECK(walk_model(**file) != 0);
    return;
  }
  CHECK(status.code() == code);
  CHECK(status.message().find(expected) != std::string::npos);
}

inline void check_spoiled(ModelBuilder (*make)(), const Spoil& spoil) {
  check_spoiled(make, spoil.change, spoil.expected);
}

}  // namespace cleave::test
