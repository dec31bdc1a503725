// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/convolution.h"
#include "engine/ops/int8_im2col_conv2d.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/winograd_conv2d.h"

namespace cleave::ops {

OpResult create_conv2d(const OpSpec& spec) {
  const kernels::KernelTable& table = kernels::active_kernels();
  if (winograd_pays(spec, table)) return create_winograd_conv2d(spec, table);
  if (int8_im2col_pays(spec, table)) return create_int8_im2col_conv2d(spec, table);
  const fbs::Conv2D& conv = *spec.op->options_as_Conv2D();
  return create_convolution(spec, {.window = conv.window(),
                                   .padding = conv.padding(),
                                   .groups = conv.groups(),
                                   .group_inputs = spec.inputs[0].channels() / conv.groups(),
                                   .group_outputs = spec.output.channels() / conv.groups()});
}

}  // namespace cleave::ops
