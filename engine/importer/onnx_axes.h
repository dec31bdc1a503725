// SPDX-License-Identifier: Apache-2.0
//
// The arguments of ONNX's shape operators, read the same way for tensors that are computed and for
// constants that are folded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_import.h"
#include "schemas/status.h"

namespace cleave::importer {

// The axes of Squeeze and Unsqueeze: attribute until opset 12, input 1 from opset 13; as indices
// into `rank` dimensions, ascending. Empty when the node gives none. Errors: kCorrupt,
// kUnsupported.
Result<std::vector<std::size_t>> read_onnx_axes(const OnnxImport& import,
                                                const onnx::NodeProto& node, std::size_t rank);

// How many axes the node names; what Unsqueeze adds to the rank.
Result<std::size_t> count_onnx_axes(const OnnxImport& import, const onnx::NodeProto& node);

// The target of Reshape with its zeros (keep this dimension) replaced; -1 stays.
Result<std::vector<std::int64_t>> read_reshape_target(const OnnxImport& import,
                                                      const onnx::NodeProto& node,
                                                      std::span<const std::int64_t> dims);

// The permutation of Transpose; the reverse order when it gives none.
Result<std::vector<std::int64_t>> read_permutation(const onnx::NodeProto& node, std::size_t rank);

// The number of leading dimensions that Flatten joins.
Result<std::size_t> read_flatten_axis(const onnx::NodeProto& node, std::size_t rank);

// The dimensions that Shape selects with start and end (opset 15).
Result<std::vector<std::int64_t>> select_shape(const onnx::NodeProto& node,
                                               std::vector<std::int64_t> dims);

}  // namespace cleave::importer
