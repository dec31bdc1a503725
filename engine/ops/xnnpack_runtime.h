// SPDX-License-Identifier: Apache-2.0
//
// What every operator that XNNPACK computes needs: the library made ready, its handles owned, its
// errors as ours.
#pragma once

#include <xnnpack.h>

#include <memory>

#include "engine/ops/op.h"
#include "schemas/status.h"

namespace cleave::ops {

// Makes XNNPACK ready, with our counting allocator, once per process. Thread-safe.
// Errors: kUnsupported (the CPU lacks what every kernel needs), kResourceExhausted.
[[nodiscard]] Status initialize_xnnpack();

// `what` names the call, for the message.
[[nodiscard]] Status to_status(xnn_status status, const char* what);

// As XNNPACK names them. REQUIRES: F32 or S8.
[[nodiscard]] inline xnn_datatype to_xnn_datatype(fbs::DType dtype) {
  return dtype == fbs::DType::S8 ? xnn_datatype_qint8 : xnn_datatype_fp32;
}
[[nodiscard]] inline xnn_quantization_params to_xnn_quantization(const TensorType& type) {
  return {.zero_point = type.zero_point, .scale = type.scale};
}

struct XnnDelete {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using XnnOperator = std::unique_ptr<xnn_operator, XnnDelete>;

// An Op that is one operator of XNNPACK.
class XnnOp : public Op {
 public:
  [[nodiscard]] Status run(pthreadpool_t pool) override {
    return to_status(xnn_run_operator(operator_.get(), pool), "run");
  }

 protected:
  explicit XnnOp(XnnOperator op) : operator_(std::move(op)) {}
  [[nodiscard]] xnn_operator_t handle() const { return operator_.get(); }

 private:
  XnnOperator operator_;
};

// How many pictures one call of a matrix product takes. An op's result must not depend on the batch
// (decision 8 of the design). On aarch64 XNNPACK computes a product of one row with another kernel
// than one of several, which adds in another order; pictures are therefore always taken one by one
// there. The x86 kernels add in one order whatever the number of rows.
[[nodiscard]] inline std::uint32_t pictures_per_product(std::uint32_t batch) {
#if defined(__aarch64__)
  return batch == 0 ? 0 : 1;
#else
  return batch;
#endif
}

}  // namespace cleave::ops
