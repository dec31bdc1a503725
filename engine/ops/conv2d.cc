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
  return create_convolution(spec, convolution_shape(spec));
}

}  // namespace cleave::ops
