// SPDX-License-Identifier: Apache-2.0
//
// One network run by ONNX Runtime and by our engine on the same input, compared tensor by tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::test {

// Largest difference of a tensor allowed, as a share of the tensor's largest magnitude.
inline constexpr double kOrtTolerance = 1e-4;

struct OrtComparison {
  std::size_t tensors = 0;          // compared; every boundary tensor of every cut
  std::vector<std::string> absent;  // boundary tensors that the ONNX model does not have
  double worst = 0;                 // largest relative error of a tensor
  std::string worst_tensor;
  double scores = 0;  // relative error of the network's output
  // Largest magnitude over all elements of the scores minus their smallest; 0 would be a
  // comparison that proves nothing.
  double scores_spread = 0;
};

// `graph` is what our engine runs, `model` what ONNX Runtime runs; tensors of one name are the same
// tensor. The input is seeded, in [-1, 1).
// Errors: of the importer, the engine or ONNX Runtime. REQUIRES: have_onnx_runtime().
Result<OrtComparison> compare_with_ort(onnx::ModelProto model, importer::Graph graph,
                                       std::uint64_t seed);

// The same with the graph that our importer reads from the model.
Result<OrtComparison> compare_import_with_ort(const onnx::ModelProto& model, std::uint64_t seed);

// "name: 21 tensors, scores 1.2e-07, worst 3.4e-06 (conv3)", printed by the tests.
std::string to_text(const std::string& name, const OrtComparison& comparison);

}  // namespace cleave::test
