// SPDX-License-Identifier: Apache-2.0
//
// One function for each ONNX operator that is imported, in the file named beside it, and the table
// that finds them. Each reads the node's inputs from `import` and defines its outputs there.
// Errors: kUnsupported for a form of the operator that cannot be expressed (the reader lists it and
// goes on), kCorrupt for one that breaks ONNX's rules.
#pragma once

#include <string_view>

#include "engine/importer/onnx_import.h"

namespace cleave::importer {

using OnnxHandler = Status (*)(OnnxImport& import, const onnx::NodeProto& node);

struct OnnxOp {
  std::string_view type;
  OnnxHandler run;   // input 0 is computed at run time; nullptr: never
  OnnxHandler fold;  // every input is a constant; nullptr: never
};

// nullptr for an operator that is not imported.
const OnnxOp* find_onnx_op(std::string_view type);

// onnx_conv.cc
Status import_conv(OnnxImport& import, const onnx::NodeProto& node);
// onnx_gemm.cc
Status import_gemm(OnnxImport& import, const onnx::NodeProto& node);
Status import_matmul(OnnxImport& import, const onnx::NodeProto& node);
// onnx_pool.cc
Status import_max_pool(OnnxImport& import, const onnx::NodeProto& node);
Status import_average_pool(OnnxImport& import, const onnx::NodeProto& node);
Status import_global_average_pool(OnnxImport& import, const onnx::NodeProto& node);
Status import_reduce_mean(OnnxImport& import, const onnx::NodeProto& node);
// onnx_activation.cc
Status import_relu(OnnxImport& import, const onnx::NodeProto& node);
Status import_leaky_relu(OnnxImport& import, const onnx::NodeProto& node);
Status import_clip(OnnxImport& import, const onnx::NodeProto& node);
Status import_hard_swish(OnnxImport& import, const onnx::NodeProto& node);
Status import_sigmoid(OnnxImport& import, const onnx::NodeProto& node);
Status import_softmax(OnnxImport& import, const onnx::NodeProto& node);
// onnx_normalization.cc
Status import_batch_normalization(OnnxImport& import, const onnx::NodeProto& node);
Status import_lrn(OnnxImport& import, const onnx::NodeProto& node);
// onnx_arith.cc
Status import_add(OnnxImport& import, const onnx::NodeProto& node);
Status import_subtract(OnnxImport& import, const onnx::NodeProto& node);
Status import_multiply(OnnxImport& import, const onnx::NodeProto& node);
Status import_divide(OnnxImport& import, const onnx::NodeProto& node);
// onnx_pad.cc, onnx_concat.cc
Status import_pad(OnnxImport& import, const onnx::NodeProto& node);
Status import_concat(OnnxImport& import, const onnx::NodeProto& node);
// onnx_select.cc
Status import_split(OnnxImport& import, const onnx::NodeProto& node);
Status import_gather(OnnxImport& import, const onnx::NodeProto& node);
// onnx_shape_ops.cc
Status import_reshape(OnnxImport& import, const onnx::NodeProto& node);
Status import_flatten(OnnxImport& import, const onnx::NodeProto& node);
Status import_squeeze(OnnxImport& import, const onnx::NodeProto& node);
Status import_unsqueeze(OnnxImport& import, const onnx::NodeProto& node);
Status import_transpose(OnnxImport& import, const onnx::NodeProto& node);
Status import_identity(OnnxImport& import, const onnx::NodeProto& node);
Status import_dropout(OnnxImport& import, const onnx::NodeProto& node);
Status import_cast(OnnxImport& import, const onnx::NodeProto& node);
Status import_shape(OnnxImport& import, const onnx::NodeProto& node);
// onnx_fold_shape.cc
Status fold_reshape(OnnxImport& import, const onnx::NodeProto& node);
Status fold_flatten(OnnxImport& import, const onnx::NodeProto& node);
Status fold_squeeze(OnnxImport& import, const onnx::NodeProto& node);
Status fold_unsqueeze(OnnxImport& import, const onnx::NodeProto& node);
Status fold_transpose(OnnxImport& import, const onnx::NodeProto& node);
Status fold_identity(OnnxImport& import, const onnx::NodeProto& node);
Status fold_shape(OnnxImport& import, const onnx::NodeProto& node);
Status fold_slice(OnnxImport& import, const onnx::NodeProto& node);
// onnx_fold_values.cc
Status fold_constant(OnnxImport& import, const onnx::NodeProto& node);
Status fold_constant_of_shape(OnnxImport& import, const onnx::NodeProto& node);
Status fold_cast(OnnxImport& import, const onnx::NodeProto& node);
Status fold_gather(OnnxImport& import, const onnx::NodeProto& node);
Status fold_concat(OnnxImport& import, const onnx::NodeProto& node);
Status fold_arith(OnnxImport& import, const onnx::NodeProto& node);

}  // namespace cleave::importer
