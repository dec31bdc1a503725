// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

// A strided copy per input.
class ConcatOp final : public Op {
 public:
  ConcatOp(std::vector<XnnOperator> copies, const OpSpec& spec)
      : copies_(std::move(copies)),
        inputs_(spec.inputs),
        output_(spec.output),
        dtype_(spec.output_type.dtype) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::size_t pixels = std::size_t{batch} * output_.height() * output_.width();
    for (std::size_t i = 0; i < copies_.size(); ++i) {
      const std::size_t channels = inputs_[i].channels();
      const auto reshape_copy =
          dtype_ == fbs::DType::S8 ? xnn_reshape_copy_nc_x8 : xnn_reshape_copy_nc_x32;
      CLEAVE_RETURN_IF_ERROR(to_status(
          reshape_copy(copies_[i].get(), pixels, channels, channels, output_.channels(), pool),
          "reshape"));
    }
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    const auto setup_copy = dtype_ == fbs::DType::S8 ? xnn_setup_copy_nc_x8 : xnn_setup_copy_nc_x32;
    auto* output = static_cast<std::byte*>(buffers.output);
    for (std::size_t i = 0; i < copies_.size(); ++i) {
      CLEAVE_RETURN_IF_ERROR(
          to_status(setup_copy(copies_[i].get(), buffers.inputs[i], output), "setup"));
      output += std::size_t{inputs_[i].channels()} * dtype_bytes(dtype_);
    }
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    for (const XnnOperator& copy : copies_) {
      CLEAVE_RETURN_IF_ERROR(to_status(xnn_run_operator(copy.get(), pool), "run"));
    }
    return Status::ok();
  }

 private:
  std::vector<XnnOperator> copies_;
  std::vector<fbs::Shape> inputs_;
  fbs::Shape output_;
  fbs::DType dtype_;
};

}  // namespace

OpResult create_concat(const OpSpec& spec) {
  std::vector<XnnOperator> copies;
  copies.reserve(spec.inputs.size());
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    xnn_operator_t op = nullptr;
    const auto create_copy = spec.on_int8() ? xnn_create_copy_nc_x8 : xnn_create_copy_nc_x32;
    CLEAVE_RETURN_IF_ERROR(to_status(create_copy(/*flags=*/0, &op), "create"));
    copies.emplace_back(op);
  }
  return OpResult(std::make_unique<ConcatOp>(std::move(copies), spec));
}

}  // namespace cleave::ops
