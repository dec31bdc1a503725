// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/convolution.h"
#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {

OpResult create_depthwise_conv2d(const OpSpec& spec) {
  const kernels::KernelTable& table = kernels::active_kernels();
  if (int8_depthwise_pays(spec, table)) return create_int8_depthwise_conv2d(spec, table);
  return create_convolution(spec, convolution_shape(spec));
}

}  // namespace cleave::ops
