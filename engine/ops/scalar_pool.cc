// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/scalar_pool.h"

namespace cleave::ops {
namespace {

class ScalarPool final : public Op {
 public:
  ScalarPool(const kernels::SlidingWindow& window, const ClampRange& clamp,
             kernels::PoolRow* kernel)
      : pool_(window), clamp_(clamp), kernel_(kernel) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    batch_ = batch;
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    input_ = buffers.inputs[0];
    output_ = buffers.output;
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    pthreadpool_parallelize_2d(
        pool,
        [](void* self, std::size_t picture, std::size_t y) {
          static_cast<const ScalarPool*>(self)->run_row(picture, y);
        },
        this, batch_, pool_.output.height(), PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return Status::ok();
  }

 private:
  void run_row(std::size_t picture, std::size_t y) const {
    const std::size_t row = std::size_t{pool_.output.width()} * pool_.output.channels();
    kernel_(pool_, input_ + picture * element_count(pool_.input), static_cast<std::uint32_t>(y),
            clamp_.minimum, clamp_.maximum,
            output_ + picture * element_count(pool_.output) + y * row);
  }

  kernels::SlidingWindow pool_;
  ClampRange clamp_;
  kernels::PoolRow* kernel_;
  std::uint32_t batch_ = 0;
  const float* input_ = nullptr;
  float* output_ = nullptr;
};

}  // namespace

OpResult create_scalar_pool(const OpSpec& spec, const fbs::Window& window,
                            const fbs::Padding& padding, kernels::PoolRow* kernel) {
  const kernels::SlidingWindow pool{
      .input = spec.inputs[0], .output = spec.output, .window = window, .padding = padding};
  return OpResult(std::make_unique<ScalarPool>(pool, spec.clamp, kernel));
}

}  // namespace cleave::ops
