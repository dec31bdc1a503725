// SPDX-License-Identifier: Apache-2.0
#include "schemas/check/graph_check.h"

#include <algorithm>
#include <array>
#include <string>

#include "schemas/check/dtype_check.h"
#include "schemas/check/op_check.h"
#include "schemas/check/quantization_check.h"
#include "schemas/model_check.h"
#include "schemas/op_shape.h"
#include "schemas/text_check.h"

namespace cleave {
namespace {

Status check_name(const flatbuffers::String* name) {
  return name == nullptr ? Status::ok()
                         : check_text(name->string_view(), kMaxNameBytes).with_context("name");
}

Status check_counts(const fbs::Variant& variant) {
  const std::uint32_t ops = variant.ops()->size(), tensors = variant.tensors()->size();
  if (ops < 1 || ops > kMaxOps) {
    return corrupt(std::to_string(ops) + " ops, must be 1.." + std::to_string(kMaxOps));
  }
  // Each op writes one tensor and each tensor but the input is written, so this is exact.
  if (tensors != ops + 1) {
    return corrupt(std::to_string(tensors) + " tensors, but " + std::to_string(ops) +
                   " ops and the input make " + std::to_string(ops + 1));
  }
  if (variant.input() >= tensors || variant.output() >= tensors) {
    return corrupt("input or output is not a tensor");
  }
  return Status::ok();
}

Status check_tensor(const fbs::Tensor& tensor) {
  CLEAVE_RETURN_IF_ERROR(check_name(tensor.name()));
  if (tensor.shape() == nullptr) return corrupt("shape is missing");
  CLEAVE_RETURN_IF_ERROR(check_shape(*tensor.shape()));
  const std::array<std::uint32_t, 3> extents = {tensor.shape()->height(), tensor.shape()->width(),
                                                tensor.shape()->channels()};
  CLEAVE_RETURN_IF_ERROR(check_quantization(tensor.quantization(), extents));
  return check_tensor_dtype(tensor);
}

Status check_tensors(const fbs::Variant& variant) {
  for (std::uint32_t i = 0; i < variant.tensors()->size(); ++i) {
    CLEAVE_RETURN_IF_ERROR(
        check_tensor(*variant.tensors()->Get(i)).with_context("tensor " + std::to_string(i)));
  }
  return Status::ok();
}

// Goes over the ops in their order, knowing what has been written and read so far.
class GraphWalk {
 public:
  GraphWalk(const fbs::Model& model, const fbs::Variant& variant, std::vector<bool>& segment_used)
      : model_(model),
        variant_(variant),
        segment_used_(segment_used),
        written_(variant.tensors()->size()),
        read_(variant.tensors()->size()),
        segment_taken_(segment_used.size()) {
    written_[variant.input()] = true;
  }

  Status visit(const fbs::Op& op) {
    CLEAVE_RETURN_IF_ERROR(check_name(op.name()));
    CLEAVE_RETURN_IF_ERROR(read_inputs(op));
    CLEAVE_RETURN_IF_ERROR(write_output(op));
    CLEAVE_RETURN_IF_ERROR(check_op(op, input_shapes_, shape(op.output()), model_.segments()));
    CLEAVE_RETURN_IF_ERROR(check_op_dtypes(variant_, op));
    return take_segment(op);
  }

  // After the last op: single writers and as many tensors as writers mean that all are written.
  [[nodiscard]] Status finish() const {
    if (variant_.output() == variant_.input()) return corrupt("the output is the input");
    for (std::uint32_t tensor = 0; tensor < read_.size(); ++tensor) {
      if (!read_[tensor] && tensor != variant_.output()) {
        return corrupt("tensor " + std::to_string(tensor) + " is never read");
      }
    }
    return Status::ok();
  }

 private:
  [[nodiscard]] const fbs::Shape& shape(std::uint32_t tensor) const {
    return *variant_.tensors()->Get(tensor)->shape();
  }

  Status read_inputs(const fbs::Op& op) {
    if (op.inputs()->size() > kMaxConcatInputs) return corrupt("too many inputs");
    input_shapes_.clear();
    for (const std::uint32_t tensor : *op.inputs()) {
      if (tensor >= written_.size() || !written_[tensor]) {
        return corrupt("reads tensor " + std::to_string(tensor) +
                       ", which nothing before it writes");
      }
      read_[tensor] = true;
      input_shapes_.push_back(shape(tensor));
    }
    return Status::ok();
  }

  Status write_output(const fbs::Op& op) {
    if (op.output() >= written_.size()) return corrupt("output is not a tensor");
    if (written_[op.output()]) {
      return corrupt("writes tensor " + std::to_string(op.output()) + ", which has its value");
    }
    written_[op.output()] = true;
    return Status::ok();
  }

  Status take_segment(const fbs::Op& op) {
    if (!has_weights(op)) return Status::ok();
    const auto segment = static_cast<std::size_t>(op.segment());
    // Packed weights are then never larger than the file, whatever it says.
    if (segment_taken_[segment]) return corrupt("names a segment that an earlier op names");
    segment_taken_[segment] = true;
    segment_used_[segment] = true;
    return Status::ok();
  }

  const fbs::Model& model_;
  const fbs::Variant& variant_;
  std::vector<bool>& segment_used_;
  std::vector<bool> written_, read_, segment_taken_;
  std::vector<fbs::Shape> input_shapes_;
};

Status check_layer_ends(const fbs::Model& model, const fbs::Variant& variant) {
  const auto& ends = *variant.layer_end_ops();
  if (ends.size() != model.layers()->size()) return corrupt("layer_end_ops: not one per layer");
  if (!std::is_sorted(ends.begin(), ends.end())) return corrupt("layer_end_ops: falls");
  if (ends.size() == 0 || ends.Get(ends.size() - 1) != variant.ops()->size()) {
    return corrupt("layer_end_ops: the last layer does not end with the last op");
  }
  return Status::ok();
}

Status check_precision(const fbs::Variant& variant) {
  if (variant.precision() > fbs::Precision::MAX) return corrupt("unknown precision");
  if (variant.precision() != fbs::Precision::QD8) return Status::ok();
  return {StatusCode::kUnsupported, std::string("precision ") +
                                        fbs::EnumNamePrecision(variant.precision()) +
                                        ": this build runs F32, F16 and QS8"};
}

}  // namespace

Status check_variant(const fbs::Model& model, const fbs::Variant& variant,
                     std::vector<bool>& segment_used) {
  CLEAVE_RETURN_IF_ERROR(check_precision(variant));
  CLEAVE_RETURN_IF_ERROR(check_counts(variant));
  CLEAVE_RETURN_IF_ERROR(check_tensors(variant));
  GraphWalk walk(model, variant, segment_used);
  for (std::uint32_t i = 0; i < variant.ops()->size(); ++i) {
    const fbs::Op& op = *variant.ops()->Get(i);
    CLEAVE_RETURN_IF_ERROR(
        walk.visit(op).with_context("op " + std::to_string(i) + " (" + op_kind_name(op) + ")"));
  }
  CLEAVE_RETURN_IF_ERROR(walk.finish());
  CLEAVE_RETURN_IF_ERROR(check_variant_dtypes(variant));
  return check_layer_ends(model, variant);
}

}  // namespace cleave
