// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/convolution.h"
#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {

OpResult create_depthwise_conv2d(const OpSpec& spec) {
  const kernels::KernelTable& table = kernels::active_kernels();
  if (int8_depthwise_pays(spec, table)) return create_int8_depthwise_conv2d(spec, table);
  const fbs::DepthwiseConv2D& conv = *spec.op->options_as_DepthwiseConv2D();
  return create_convolution(spec, {.window = conv.window(),
                                   .padding = conv.padding(),
                                   .groups = spec.inputs[0].channels(),
                                   .group_inputs = 1,
                                   .group_outputs = conv.multiplier(),
                                   .depthwise_kernel = true});
}

}  // namespace cleave::ops
