// SPDX-License-Identifier: Apache-2.0
#include "schemas/check/op_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "schemas/check/quantization_check.h"
#include "schemas/model_preamble.h"
#include "schemas/op_shape.h"

namespace cleave {
namespace {

using Segments = flatbuffers::Vector<const fbs::Segment*>;

Status check_clamp(const fbs::Op& op) {
  if (op.clamp() == nullptr) {
    return op.options_type() == fbs::OpOptions::ClampOnly ? corrupt("clamp is missing")
                                                          : Status::ok();
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float minimum = op.clamp()->minimum(), maximum = op.clamp()->maximum();
  // Written so that a NaN fails it.
  const bool sound = minimum <= maximum && minimum < kInfinity && maximum > -kInfinity;
  return sound ? Status::ok() : corrupt("clamp: minimum and maximum do not enclose a number");
}

Status check_lrn(const fbs::Lrn& lrn) {
  if (lrn.size() < 1 || lrn.size() > kMaxDimension) return corrupt("size is not 1..65536");
  if (!std::isfinite(lrn.alpha()) || !std::isfinite(lrn.beta()) || !std::isfinite(lrn.bias())) {
    return corrupt("a constant is not finite");
  }
  if (lrn.alpha() < 0 || lrn.bias() <= 0) return corrupt("alpha is negative or bias not positive");
  return Status::ok();
}

Status check_constants(const fbs::Op& op) {
  switch (op.options_type()) {
    case fbs::OpOptions::LeakyRelu:
      return std::isfinite(op.options_as_LeakyRelu()->negative_slope())
                 ? Status::ok()
                 : corrupt("negative_slope is not finite");
    case fbs::OpOptions::Pad:
      return std::isnan(op.options_as_Pad()->value()) ? corrupt("value is NaN") : Status::ok();
    case fbs::OpOptions::Lrn:
      return check_lrn(*op.options_as_Lrn());
    default:
      return Status::ok();
  }
}

// Dimensions of the kernel as model.fbs lays it out, slowest first; leading ones pad the rank to 4.
struct KernelLayout {
  std::array<std::uint32_t, 4> storage{1, 1, 1, 1};
  std::size_t rank = 0;
  [[nodiscard]] std::span<const std::uint32_t> extents() const {
    return std::span(storage).first(rank);
  }
  [[nodiscard]] std::uint64_t elements() const {
    std::uint64_t product = 1;
    for (const std::uint32_t extent : extents()) product *= extent;
    return product;
  }
};

// REQUIRES: has_weights(op), shapes as infer_op_shape() has them; so products fit 64 bits.
KernelLayout kernel_layout(const fbs::Op& op, const fbs::Shape& input, const fbs::Shape& output) {
  if (const fbs::Conv2D* conv = op.options_as_Conv2D()) {
    const fbs::Window& window = *conv->window();
    return {{output.channels(), window.height(), window.width(), input.channels() / conv->groups()},
            4};
  }
  if (const fbs::DepthwiseConv2D* conv = op.options_as_DepthwiseConv2D()) {
    return {{conv->window()->height(), conv->window()->width(), output.channels()}, 3};
  }
  const auto inputs =
      static_cast<std::uint32_t>(std::uint64_t{input.height()} * input.width() * input.channels());
  return {{output.channels(), inputs}, 2};
}

Status check_view(const fbs::WeightView& view, std::uint64_t elements,
                  const fbs::Segment& segment) {
  if (view.dtype() > fbs::DType::MAX) return corrupt("unknown dtype");
  if (view.bytes() != elements * dtype_bytes(view.dtype())) {
    return corrupt("has " + std::to_string(view.bytes()) + " bytes, its shape demands " +
                   std::to_string(elements * dtype_bytes(view.dtype())));
  }
  if (view.offset() % kWeightViewAlignment != 0) return corrupt("offset is not a multiple of 64");
  if (view.offset() > segment.bytes() || view.bytes() > segment.bytes() - view.offset()) {
    return corrupt("does not lie in its segment");
  }
  return Status::ok();
}

bool overlap(const fbs::WeightView& a, const fbs::WeightView& b) {
  return a.offset() < b.offset() + b.bytes() && b.offset() < a.offset() + a.bytes();
}

Status check_kernel(const fbs::Op& op, const KernelLayout& layout, const fbs::Segment& segment) {
  if (op.kernel() == nullptr) return corrupt("is missing");
  CLEAVE_RETURN_IF_ERROR(check_view(*op.kernel(), layout.elements(), segment));
  return check_quantization(op.kernel()->quantization(), layout.extents());
}

Status check_bias(const fbs::Op& op, const fbs::Shape& output, const fbs::Segment& segment) {
  if (op.bias() == nullptr) return Status::ok();
  const std::array<std::uint32_t, 1> extents = {output.channels()};
  CLEAVE_RETURN_IF_ERROR(check_view(*op.bias(), extents[0], segment));
  if (overlap(*op.kernel(), *op.bias())) return corrupt("overlaps the kernel");
  return check_quantization(op.bias()->quantization(), extents);
}

Status check_weights(const fbs::Op& op, const fbs::Shape& input, const fbs::Shape& output,
                     const Segments* segments) {
  if (!has_weights(op)) {
    const bool none = op.segment() == -1 && op.kernel() == nullptr && op.bias() == nullptr;
    return none ? Status::ok() : corrupt("an operator without weights names some");
  }
  const std::int64_t segment_count = segments == nullptr ? 0 : segments->size();
  if (op.segment() < 0 || op.segment() >= segment_count) {
    return corrupt("segment " + std::to_string(op.segment()) + " does not exist");
  }
  const fbs::Segment& segment = *segments->Get(static_cast<std::uint32_t>(op.segment()));
  CLEAVE_RETURN_IF_ERROR(
      check_kernel(op, kernel_layout(op, input, output), segment).with_context("kernel"));
  return check_bias(op, output, segment).with_context("bias");
}

}  // namespace

bool has_weights(const fbs::Op& op) {
  return op.options_type() == fbs::OpOptions::Conv2D ||
         op.options_type() == fbs::OpOptions::DepthwiseConv2D ||
         op.options_type() == fbs::OpOptions::FullyConnected;
}

Status check_op(const fbs::Op& op, std::span<const fbs::Shape> inputs, const fbs::Shape& output,
                const Segments* segments) {
  CLEAVE_ASSIGN_OR_RETURN(const fbs::Shape inferred, infer_op_shape(op, inputs));
  if (!same_shape(inferred, output)) {
    return corrupt("the file says its output is " + shape_text(output) + ", it computes " +
                   shape_text(inferred));
  }
  CLEAVE_RETURN_IF_ERROR(check_constants(op));
  CLEAVE_RETURN_IF_ERROR(check_clamp(op));
  return check_weights(op, inputs[0], output, segments);
}

}  // namespace cleave
