// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/packed_model.h"

#include <algorithm>
#include <string>

#include "engine/kernels/half.h"
#include "engine/ops/convolution.h"
#include "engine/ops/op_registry.h"
#include "engine/ops/weight_cache_key.h"

namespace cleave::ops {
namespace {

// REQUIRES (checked by the reader): views begin at multiples of 64 bytes.
const void* weights_of(const ModelFile& model, const fbs::Op& op, const fbs::WeightView* view) {
  return view == nullptr ? nullptr : model.weight_bytes(op, *view).data();
}

// XNNPACK and Winograd's transform pack f32. What is packed already is not read again, but for
// depthwise convolutions, which XNNPACK packs whatever the cache holds.
Status widen_f16_kernel(OpSpec& spec) {
  const bool read = !spec.entry->find() ||
                    spec.op->options_type() == fbs::OpOptions::DepthwiseConv2D ||
                    is_depthwise_group(spec);
  if (!read) return Status::ok();
  const auto* halves = static_cast<const std::uint16_t*>(spec.kernel);
  const std::size_t count = spec.op->kernel()->bytes() / sizeof(std::uint16_t);
  spec.widened_kernel = TransientFloats(count);
  if (spec.widened_kernel.data() == nullptr) {
    return {StatusCode::kResourceExhausted,
            "no memory for an f16 kernel of " + std::to_string(count) + " values"};
  }
  std::transform(halves, halves + count, spec.widened_kernel.data(), kernels::half_to_float);
  spec.kernel = spec.widened_kernel.data();
  return Status::ok();
}

}  // namespace

PackedModel::PackedModel(std::shared_ptr<const ModelFile> model, const fbs::Variant& variant,
                         OpRange range, const WeightsOptions& options)
    : model_(std::move(model)),
      variant_(variant),
      range_(range),
      preference_(options.preference),
      cache_(std::size_t{range.last} - range.first) {
  keep_neighbours_small();
  if (options.cache == nullptr) return;
  for (OpIndex op = range_.first; op < range_.last; ++op) {
    if (variant_.ops()->Get(op)->segment() >= 0) use_files(op, options.cache);
  }
}

// What is read in place may be mapped by large pages, which must not bring in what lies beside it,
// of whichever variant.
void PackedModel::keep_neighbours_small() const {
  for (const fbs::Variant* variant : *model_->header().variants()) {
    for (const fbs::Op* op : *variant->ops()) {
      if (op->segment() < 0 || op->options_type() == fbs::OpOptions::FullyConnected) continue;
      model_->keep_pages_small(static_cast<std::uint32_t>(op->segment()));
    }
  }
}

// The entry is part of this, so `this` outlives what it keeps.
void PackedModel::use_files(OpIndex index, const std::shared_ptr<WeightCacheFolder>& cache) {
  cache_.entry(index - range_.first)
      .use_files({.folder = cache,
                  .key =
                      [this, index] {
                        return weight_cache_key(model_->header(), variant_, index, preference_);
                      },
                  .check_source =
                      [this, index] {
                        const std::int32_t segment = variant_.ops()->Get(index)->segment();
                        return check_segment(*model_, static_cast<std::uint32_t>(segment));
                      }});
}

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
  OpSpec spec = make_op_spec(variant_, index, preference_);
  if (spec.op->segment() < 0) return spec;
  spec.kernel = weights_of(*model_, *spec.op, spec.op->kernel());
  spec.bias = weights_of(*model_, *spec.op, spec.op->bias());
  spec.entry = &cache_.entry(index - range_.first);
  spec.packed = spec.entry->provider();
  if (spec.kernel_dtype == fbs::DType::F16 &&
      spec.op->options_type() != fbs::OpOptions::FullyConnected) {
    CLEAVE_RETURN_IF_ERROR(widen_f16_kernel(spec));
  }
  return spec;
}

OpResult PackedModel::create_op(OpIndex index) const {
  CLEAVE_ASSIGN_OR_RETURN(const OpSpec op, spec(index));
  OpResult result = ops::create_op(op);
  if (op.op->segment() >= 0 && !op.entry->is_read_in_place()) {
    model_->release_segment_pages(static_cast<std::uint32_t>(op.op->segment()));
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
