// SPDX-License-Identifier: Apache-2.0
//
// What Conv2D and DepthwiseConv2D share: both are XNNPACK's convolution, with the kernel stored
// differently.
#pragma once

#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {

struct ConvolutionShape {
  const fbs::Window* window = nullptr;
  const fbs::Padding* padding = nullptr;
  std::uint32_t groups = 1;
  std::size_t group_inputs = 0;   // input channels of a group
  std::size_t group_outputs = 0;  // output channels of a group
  bool depthwise_kernel = false;  // [window][output], not [output][window][input of its group]
};

// Of a Conv2D or DepthwiseConv2D.
[[nodiscard]] ConvolutionShape convolution_shape(const OpSpec& spec);

// What create_convolution()'s operator holds outside of the arena: pointers to the pixels of every
// window, made once. 0 where each run makes them anew in the workspace: with a preference for
// memory, or when they take over a MiB.
[[nodiscard]] std::size_t kept_pointer_bytes(const OpSpec& spec, const ConvolutionShape& shape);

// XNNPACK packs convolutions of one input channel a group on every create, whatever the cache
// holds.
[[nodiscard]] inline bool is_depthwise_group(const OpSpec& spec) {
  const fbs::Conv2D* conv = spec.op->options_as_Conv2D();
  return conv != nullptr && conv->groups() == spec.inputs[0].channels();
}

// On f32 or int8 tensors, as the spec says.
[[nodiscard]] OpResult create_convolution(const OpSpec& spec, const ConvolutionShape& shape);

}  // namespace cleave::ops
