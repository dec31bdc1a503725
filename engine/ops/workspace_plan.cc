// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/workspace_plan.h"

#include "engine/memory/weight_cache.h"
#include "engine/ops/convolution.h"
#include "engine/ops/op_registry.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

// XNNPACK packs one-channel convolutions whatever the cache says, so their kernel must be readable.
// Those are small; other kernels are never looked at.
std::size_t kernel_elements_read(const OpSpec& spec) {
  const fbs::Window* window = nullptr;
  if (const fbs::DepthwiseConv2D* conv = spec.op->options_as_DepthwiseConv2D()) {
    window = conv->window();
  } else if (is_depthwise_group(spec)) {
    window = spec.op->options_as_Conv2D()->window();
  }
  if (window == nullptr) return 1;
  return std::size_t{window->height()} * window->width() * spec.output.channels();
}

Result<OpMemory> memory_of(const fbs::Variant& variant, OpIndex index, std::uint32_t batch,
                           Preference preference) {
  OpSpec spec = make_op_spec(variant, index, preference);
  const std::vector<float> kernel(kernel_elements_read(spec));
  spec.kernel = kernel.data();
  spec.packed = planning_only_provider();
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<Op> op, create_op(spec));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t workspace, op->reshape(batch, /*pool=*/nullptr));
  return OpMemory{workspace, op->output_lead_bytes()};
}

}  // namespace

Result<std::vector<OpMemory>> plan_workspaces(const fbs::Variant& variant, OpRange range,
                                              std::uint32_t batch, Preference preference) {
  CLEAVE_RETURN_IF_ERROR(initialize_xnnpack());
  std::vector<OpMemory> workspaces;
  workspaces.reserve(range.last - range.first);
  for (OpIndex op = range.first; op < range.last; ++op) {
    CLEAVE_ASSIGN_OR_RETURN(const OpMemory memory, memory_of(variant, op, batch, preference));
    workspaces.push_back(memory);
  }
  return workspaces;
}

}  // namespace cleave::ops
