// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/packed_model.h"

#include <algorithm>

#include "engine/ops/op_registry.h"

namespace cleave::ops {
namespace {

// REQUIRES (checked by the reader): views begin at multiples of 64 bytes.
Result<const float*> f32_weights(const ModelFile& model, const fbs::Op& op,
                                 const fbs::WeightView* view) {
  if (view == nullptr) return nullptr;
  if (view->dtype() != fbs::DType::F32) {
    return Status{StatusCode::kUnsupported, "weights that are not f32"};
  }
  return reinterpret_cast<const float*>(model.weight_bytes(op, *view).data());
}

}  // namespace

PackedModel::PackedModel(std::shared_ptr<const ModelFile> model, const fbs::Variant& variant,
                         OpRange range)
    : model_(std::move(model)),
      variant_(variant),
      range_(range),
      cache_(std::size_t{range.last} - range.first) {}

PackedModel::~PackedModel() {
  for (OpIndex op = range_.first; op < range_.last; ++op) {
    if (!cache_.entry(op - range_.first).is_read_in_place()) continue;
    const std::int32_t segment = variant_.ops()->Get(op)->segment();
    model_->release_segment_pages(static_cast<std::uint32_t>(segment));
  }
}

std::uint64_t PackedModel::packed_bytes(OpRange ops) const {
  std::uint64_t bytes = 0;
  const OpIndex last = std::min(ops.last, range_.last);
  for (OpIndex op = std::max(ops.first, range_.first); op < last; ++op) {
    bytes += cache_.entry(op - range_.first).bytes();
  }
  return bytes;
}

Result<OpSpec> PackedModel::spec(OpIndex index) const {
  OpSpec spec = make_op_spec(variant_, index);
  if (spec.op->segment() < 0) return spec;
  CLEAVE_ASSIGN_OR_RETURN(spec.kernel, f32_weights(*model_, *spec.op, spec.op->kernel()));
  CLEAVE_ASSIGN_OR_RETURN(spec.bias, f32_weights(*model_, *spec.op, spec.op->bias()));
  spec.entry = &cache_.entry(index - range_.first);
  spec.packed = spec.entry->provider();
  return spec;
}

OpResult PackedModel::create_op(OpIndex index) const {
  CLEAVE_ASSIGN_OR_RETURN(const OpSpec op, spec(index));
  OpResult result = ops::create_op(op);
  if (op.op->segment() >= 0 && !op.entry->is_read_in_place()) {
    model_->release_segment_pages(static_cast<std::uint32_t>(op.op->segment()));
    model_->keep_pages_small(static_cast<std::uint32_t>(op.op->segment()));
  }
  return result;
}

void PackedModel::release_pages_not_in_place() const {
  for (OpIndex op = 0; op < variant_.ops()->size(); ++op) {
    const std::int32_t segment = variant_.ops()->Get(op)->segment();
    const bool held = range_.first <= op && op < range_.last;
    if (segment < 0 || (held && cache_.entry(op - range_.first).is_read_in_place())) continue;
    model_->release_segment_pages(static_cast<std::uint32_t>(segment));
  }
}

}  // namespace cleave::ops
