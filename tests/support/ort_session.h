// SPDX-License-Identifier: Apache-2.0
//
// Runs ONNX models with ONNX Runtime, the peer whose results ours are compared with. The C library
// (tests/support/fetch_ort.sh) is loaded at run time; nothing links it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::test {

// A float tensor in ONNX's own layout.
struct OrtTensor {
  std::vector<std::int64_t> dims;
  std::vector<float> data;
};

// True when the library named by $CLEAVE_ORT_LIBRARY loads. If not: prints "skipped: ..." and
// returns false, or, where $CLEAVE_REQUIRE_ORT is 1, fails the running test.
bool have_onnx_runtime();

// Its version, e.g. "1.30.0". REQUIRES: have_onnx_runtime().
std::string onnx_runtime_version();

class OrtSession {
 public:
  // Graph optimizations are off and one thread computes, so that each operator is what ONNX says
  // and a result is always the same. REQUIRES: have_onnx_runtime().
  static Result<std::unique_ptr<OrtSession>> create(std::span<const std::byte> model);
  ~OrtSession();
  OrtSession(const OrtSession&) = delete;
  OrtSession& operator=(const OrtSession&) = delete;

  // Runs the model once; the named outputs, which must be of floats. kInternal with ONNX Runtime's
  // own message when it refuses.
  Result<std::map<std::string, OrtTensor>> run(const std::string& input_name,
                                               const OrtTensor& input,
                                               const std::vector<std::string>& output_names);

 private:
  OrtSession() = default;
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace cleave::test
