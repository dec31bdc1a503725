// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {
namespace {

Result<std::uint32_t> read_units(const TfjsLayer& layer) {
  const Json* units = layer.config.member("units");
  if (units == nullptr) return Status(StatusCode::kCorrupt, "has no units");
  CLEAVE_ASSIGN_OR_RETURN(const std::int64_t count, json_integer(*units));
  if (count < 1 || count > 65536) return Status(StatusCode::kCorrupt, "units are out of range");
  return static_cast<std::uint32_t>(count);
}

// Keras has [input][output]; `order[i]` is where our order of the input has Keras' element i.
std::vector<float> output_rows(const std::vector<float>& kernel, std::size_t outputs,
                               const std::vector<std::uint32_t>& order) {
  const std::size_t columns = order.size();
  std::vector<float> result(kernel.size());
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) {
      result[o * columns + order[i]] = kernel[i * outputs + o];
    }
  }
  return result;
}

Result<std::vector<std::uint32_t>> channel_order(std::uint32_t channels) {
  std::vector<std::uint32_t> order(channels);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

LayoutView with_last_dim(LayoutView view, const Hwc& out) {
  view.dims.back() = out.channels == 1 ? ViewDim{} : ViewDim{Axis::kChannel};
  return view;
}

}  // namespace

// Keras applies it to the last dimension. Where that is the whole tensor it is a fully connected
// layer; where it is only the channels of a larger picture, a 1 x 1 convolution.
Result<TfjsTensor> import_tfjs_dense(TfjsImport& import, const TfjsLayer& layer,
                                     std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t units, read_units(layer));
  if (input.view.dims.empty()) return Status(StatusCode::kCorrupt, "has a scalar as input");
  const Hwc in = import.shape(input);
  const bool per_pixel = in.height * std::uint64_t{in.width} != 1 && input.view == view_nhwc(in);
  Node node;
  node.kind = per_pixel ? NodeKind::kConv2D : NodeKind::kFullyConnected;
  node.inputs = {input.value};
  // The weights' shape is checked before anything of the input's size is made.
  const std::int64_t columns = per_pixel ? in.channels : view_extents(input.view, in).back();
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> kernel,
                          import.weights().take(layer.name, "kernel", {columns, units}));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> order,
                          per_pixel ? channel_order(in.channels)
                                    : flatten_order(input.view, in, input.view.dims.size() - 1));
  node.kernel = output_rows(kernel, units, order);
  CLEAVE_ASSIGN_OR_RETURN(const bool use_bias, layer.config.flag("use_bias", true));
  if (use_bias) {
    CLEAVE_ASSIGN_OR_RETURN(node.bias, import.weights().take(layer.name, "bias", {units}));
  }
  LayoutView view = with_last_dim(input.view, Hwc{1, 1, units});
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor output,
                          import.emit(layer, std::move(node), std::move(view)));
  return import.activate_layer(layer, output);
}

}  // namespace cleave::importer
