// SPDX-License-Identifier: Apache-2.0
//
// Checks of what is held as what: tensors in f32 or int8, weights in f32, f16 or int8.
#pragma once

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// A tensor is F32, or S8 with one scale that is positive and a zero point that int8 can hold.
// REQUIRES: check_quantization() of it. Errors: kCorrupt; kUnsupported (another dtype).
[[nodiscard]] Status check_tensor_dtype(const fbs::Tensor& tensor);

// The dtypes and quantization parameters of an op's tensors and weights go together
// (schemas/model_format.md has the table). REQUIRES: check_op() of it, and its tensors pass
// check_tensor_dtype(). Errors: kCorrupt; kUnsupported (a combination that no kernel computes).
[[nodiscard]] Status check_op_dtypes(const fbs::Variant& variant, const fbs::Op& op);

// A variant of precision F32 has f32 tensors and weights, one of F16 f32 tensors and f32 or f16
// weights; input and output are f32 in any. REQUIRES: input, output are tensors. Errors: kCorrupt.
[[nodiscard]] Status check_variant_dtypes(const fbs::Variant& variant);

}  // namespace cleave
