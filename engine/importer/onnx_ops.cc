// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_ops.h"

#include <algorithm>
#include <array>

namespace cleave::importer {
namespace {

// Sorted by type.
constexpr OnnxOp kOps[] = {
    {"Add", import_add, fold_arith},
    {"AveragePool", import_average_pool, nullptr},
    {"BatchNormalization", import_batch_normalization, nullptr},
    {"Cast", import_cast, fold_cast},
    {"Clip", import_clip, nullptr},
    {"Concat", import_concat, fold_concat},
    {"Constant", nullptr, fold_constant},
    {"ConstantOfShape", nullptr, fold_constant_of_shape},
    {"Conv", import_conv, nullptr},
    {"Div", import_divide, fold_arith},
    {"Dropout", import_dropout, fold_identity},
    {"Flatten", import_flatten, fold_flatten},
    {"Gather", import_gather, fold_gather},
    {"Gemm", import_gemm, nullptr},
    {"GlobalAveragePool", import_global_average_pool, nullptr},
    {"HardSwish", import_hard_swish, nullptr},
    {"Identity", import_identity, fold_identity},
    {"LRN", import_lrn, nullptr},
    {"LeakyRelu", import_leaky_relu, nullptr},
    {"MatMul", import_matmul, nullptr},
    {"MaxPool", import_max_pool, nullptr},
    {"Mul", import_multiply, fold_arith},
    {"Pad", import_pad, nullptr},
    {"ReduceMean", import_reduce_mean, nullptr},
    {"Relu", import_relu, nullptr},
    {"Reshape", import_reshape, fold_reshape},
    {"Shape", import_shape, fold_shape},
    {"Sigmoid", import_sigmoid, nullptr},
    {"Slice", nullptr, fold_slice},
    {"Softmax", import_softmax, nullptr},
    {"Split", import_split, nullptr},
    {"Squeeze", import_squeeze, fold_squeeze},
    {"Sub", import_subtract, fold_arith},
    {"Transpose", import_transpose, fold_transpose},
    {"Unsqueeze", import_unsqueeze, fold_unsqueeze},
};
static_assert(std::is_sorted(std::begin(kOps), std::end(kOps),
                             [](const OnnxOp& a, const OnnxOp& b) { return a.type < b.type; }));

}  // namespace

const OnnxOp* find_onnx_op(std::string_view type) {
  const auto* found =
      std::lower_bound(std::begin(kOps), std::end(kOps), type,
                       [](const OnnxOp& op, std::string_view wanted) { return op.type < wanted; });
  return found != std::end(kOps) && found->type == type ? found : nullptr;
}

}  // namespace cleave::importer
