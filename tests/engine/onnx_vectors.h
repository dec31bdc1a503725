// SPDX-License-Identifier: Apache-2.0
//
// One case of ONNX's backend test suite: a model, its inputs and the outputs it must give. The
// suite hands weights to the model as inputs; our networks have one input, so the others are bound
// as initializers. Three kinds of cases are dressed up to fit a network of ours; each added
// operator computes exactly:
//   - several computed inputs (Concat, Add, Mul): the case starts at a cut, and its inputs are the
//     boundary tensors there;
//   - operators that only rename layout: a multiplication by 1 goes before them;
//   - outputs that are flattened images: a multiplication by the identity matrix goes after them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "schemas/status.h"
#include "tests/support/onnx_engine.h"

namespace cleave::test {

// An input that is fed at run time.
struct OnnxVectorInput {
  std::string name;
  std::vector<std::int64_t> dims;
  std::vector<float> data;  // in ONNX's order
};

struct OnnxVector {
  enum class Kind { kOtherOperators, kLeftOut, kRun } kind = Kind::kLeftOut;
  std::string reason;  // when left out
  onnx::ModelProto model;
  std::vector<OnnxVectorInput> inputs;
  std::vector<float> expected;
  std::size_t expected_rank = 0;
};

OnnxVector load_onnx_vector(const std::filesystem::path& directory);

// The output in ONNX's order. kUnsupported: the importer refuses the model, and says why.
Result<std::vector<float>> run_onnx_vector(const OnnxVector& vector);

}  // namespace cleave::test
