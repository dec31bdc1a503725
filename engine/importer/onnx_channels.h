// SPDX-License-Identifier: Apache-2.0
//
// Constants that an operator applies along one dimension of its input, as one value per channel.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/importer/onnx_import.h"
#include "schemas/status.h"

namespace cleave::importer {

// `values` runs along dimension `dim` of x's view; the result has one value for each channel of x.
// Errors: kUnsupported when that dimension is not the channels, kCorrupt when sizes disagree.
Result<std::vector<float>> spread_over_channels(const OnnxImport& import, const OnnxOperand& x,
                                                std::size_t dim, const std::vector<float>& values);

// The same for a constant that broadcasts against x by ONNX's rules (dimensions aligned at the
// last): a scalar, or extent 1 everywhere but along the channels.
Result<std::vector<float>> broadcast_to_channels(const OnnxImport& import, const OnnxOperand& x,
                                                 const OnnxTensor& constant);

}  // namespace cleave::importer
