// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/scalar_pool.h"

#include "engine/ops/int8_range.h"

namespace cleave::ops {
namespace {

template <typename Element>
class ScalarPool final : public Op {
 public:
  using Kernel = void(const kernels::SlidingWindow& pool, const Element* picture, std::uint32_t y,
                      Element minimum, Element maximum, Element* row);

  ScalarPool(const kernels::SlidingWindow& window, Element minimum, Element maximum, Kernel* kernel)
      : pool_(window), minimum_(minimum), maximum_(maximum), kernel_(kernel) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    batch_ = batch;
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    input_ = static_cast<const Element*>(buffers.inputs[0]);
    output_ = static_cast<Element*>(buffers.output);
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
            minimum_, maximum_, output_ + picture * element_count(pool_.output) + y * row);
  }

  kernels::SlidingWindow pool_;
  Element minimum_;
  Element maximum_;
  Kernel* kernel_;
  std::uint32_t batch_ = 0;
  const Element* input_ = nullptr;
  Element* output_ = nullptr;
};

kernels::SlidingWindow sliding(const OpSpec& spec, const fbs::Window& window,
                               const fbs::Padding& padding) {
  return {.input = spec.inputs[0], .output = spec.output, .window = window, .padding = padding};
}

}  // namespace

OpResult create_scalar_pool(const OpSpec& spec, const fbs::Window& window,
                            const fbs::Padding& padding, kernels::PoolRow* kernel) {
  return OpResult(std::make_unique<ScalarPool<float>>(
      sliding(spec, window, padding), spec.clamp.minimum, spec.clamp.maximum, kernel));
}

OpResult create_scalar_pool(const OpSpec& spec, const fbs::Window& window,
                            const fbs::Padding& padding, kernels::Int8PoolRow* kernel) {
  const Int8Range range = int8_range(spec.clamp, spec.output_type);
  return OpResult(std::make_unique<ScalarPool<std::int8_t>>(sliding(spec, window, padding),
                                                            range.minimum, range.maximum, kernel));
}

}  // namespace cleave::ops
