// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_channels.h"

#include <optional>
#include <string>

namespace cleave::importer {

Result<std::vector<float>> spread_over_channels(const OnnxImport& import, const OnnxOperand& x,
                                                std::size_t dim, const std::vector<float>& values) {
  const Hwc& shape = import.shape(x);
  if (dim >= x.view.dims.size()) return onnx_corrupt("its input has too few dimensions");
  const std::int64_t extent = view_extents(x.view, shape)[dim];
  if (values.size() != static_cast<std::size_t>(extent)) {
    return onnx_corrupt(std::to_string(values.size()) + " constants for a dimension of extent " +
                        std::to_string(extent));
  }
  if (extent == 1) return std::vector<float>(shape.channels, values[0]);
  if (x.view.dims[dim] != ViewDim{Axis::kChannel}) {
    return onnx_unsupported("a constant along another axis than the channels");
  }
  return values;
}

Result<std::vector<float>> broadcast_to_channels(const OnnxImport& import, const OnnxOperand& x,
                                                 const OnnxTensor& constant) {
  if (!constant.is_float) return onnx_corrupt("a constant that is not of floats");
  const std::size_t rank = x.view.dims.size();
  std::optional<std::size_t> along;  // the only dimension of the constant that is not 1
  for (std::size_t d = 0; d < constant.dims.size(); ++d) {
    if (constant.dims[d] == 1) continue;
    if (along) return onnx_unsupported("a constant over several axes");
    along = d;
  }
  if (constant.dims.size() > rank) return onnx_unsupported("a constant that adds dimensions");
  if (!along) return std::vector<float>(import.shape(x).channels, constant.floats.at(0));
  const std::size_t dim = *along + rank - constant.dims.size();
  if (view_extents(x.view, import.shape(x))[dim] == 1) {
    return onnx_unsupported("a constant that repeats its input");
  }
  return spread_over_channels(import, x, dim, constant.floats);
}

}  // namespace cleave::importer
