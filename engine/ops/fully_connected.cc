// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/kernels/dispatch.h"
#include "engine/memory/weight_cache.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {
namespace {

// Reads its weights where the model file has them: packing would keep a second copy of what is most
// of a VGG, and nothing is gained by another order at the few pictures of a batch.
class FullyConnectedOp final : public Op {
 public:
  FullyConnectedOp(const OpSpec& spec, kernels::FullyConnected* kernel) : kernel_(kernel) {
    layer_.inputs = element_count(spec.inputs[0]);
    layer_.outputs = spec.output.channels();
    layer_.weights = spec.kernel;
    scales_ = spec.kernel_scales;
    layer_.scale = scales_.data();
    layer_.bias = spec.f32_bias();
    layer_.minimum = spec.clamp.minimum;
    layer_.maximum = spec.clamp.maximum;
  }

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    layer_.batch = batch;
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    layer_.input = buffers.f32_input();
    layer_.output = buffers.f32_output();
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    // A multiple of the rows that a kernel takes at once; small enough to share out evenly.
    constexpr std::size_t kRowsOfTask = 16;
    pthreadpool_parallelize_1d_tile_1d(
        pool,
        [](void* self, std::size_t first, std::size_t count) {
          const auto& op = *static_cast<const FullyConnectedOp*>(self);
          op.kernel_(op.layer_, first, first + count);
        },
        this, layer_.outputs, kRowsOfTask, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return Status::ok();
  }

 private:
  kernels::FullyConnectedRows layer_;
  std::vector<float> scales_;
  kernels::FullyConnected* kernel_;
};

kernels::FullyConnected* kernel_for(fbs::DType weights) {
  const kernels::KernelTable& table = kernels::active_kernels();
  switch (weights) {
    case fbs::DType::F16:
      return table.f16_fully_connected;
    case fbs::DType::S8:
      return table.s8_fully_connected;
    default:
      return table.f32_fully_connected;
  }
}

}  // namespace

OpResult create_fully_connected(const OpSpec& spec) {
  if (spec.entry != nullptr) {
    const std::size_t outputs = spec.output.channels();
    const std::size_t weights = element_count(spec.inputs[0]) * outputs;
    spec.entry->read_in_place(weights * dtype_bytes(spec.kernel_dtype) +
                              (spec.bias == nullptr ? 0 : outputs * sizeof(float)));
  }
  return OpResult(std::make_unique<FullyConnectedOp>(spec, kernel_for(spec.kernel_dtype)));
}

}  // namespace cleave::ops
