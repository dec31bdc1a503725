// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include <string>

#include "engine/kernels/dispatch.h"
#include "engine/ops/op_registry.h"
#include "engine/ops/packed_model.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave {

std::uint64_t weight_bytes(const fbs::Op& op) {
  return (op.kernel() == nullptr ? 0 : op.kernel()->bytes()) +
         (op.bias() == nullptr ? 0 : op.bias()->bytes());
}

std::uint64_t weight_ram_bytes(const fbs::Variant& variant, OpIndex op, Preference preference) {
  return ops::weight_ram_bytes(ops::make_op_spec(variant, op, preference));
}

std::uint64_t weight_cache_bytes(const fbs::Variant& variant, OpIndex op, Preference preference) {
  const ops::OpSpec spec = ops::make_op_spec(variant, op, preference);
  return ops::is_packed_once(spec) ? weight_cache_file_bytes(ops::weight_ram_bytes(spec)) : 0;
}

namespace {

bool is_held(const ModelFile& model, const fbs::Op& op) {
  return op.segment() < 0 || model.has_segment(static_cast<std::uint32_t>(op.segment()));
}

Status check_held(const ModelFile& model, const fbs::Variant& variant, OpRange range) {
  for (OpIndex op = range.first; op < range.last; ++op) {
    if (is_held(model, *variant.ops()->Get(op))) continue;
    return {StatusCode::kNotFound, model.path() + " does not hold the weights of op " +
                                       std::to_string(op) + " of " + variant.name()->str() +
                                       "; `cleave-agent fetch` gets them from the server"};
  }
  return Status::ok();
}

}  // namespace

OpIndex held_ops(const ModelFile& model, std::uint32_t variant) {
  const auto& ops = *model.header().variants()->Get(variant)->ops();
  OpIndex held = 0;
  while (held < ops.size() && is_held(model, *ops.Get(held))) ++held;
  return held;
}

Result<std::shared_ptr<const Weights>> Weights::create(std::shared_ptr<const ModelFile> model,
                                                       std::uint32_t variant, OpRange range,
                                                       const WeightsOptions& options) {
  const auto& variants = *model->header().variants();
  if (variant >= variants.size()) {
    return Status{StatusCode::kOutOfRange,
                  "variant " + std::to_string(variant) + " of " + std::to_string(variants.size())};
  }
  const fbs::Variant& chosen = *variants.Get(variant);
  if (range.first > range.last || range.last > chosen.ops()->size()) {
    return Status{StatusCode::kOutOfRange, "ops " + std::to_string(range.first) + " to " +
                                               std::to_string(range.last) + " of " +
                                               std::to_string(chosen.ops()->size())};
  }
  CLEAVE_RETURN_IF_ERROR(check_held(*model, chosen, range));
  CLEAVE_RETURN_IF_ERROR(kernels::check_kernel_choice());
  CLEAVE_RETURN_IF_ERROR(ops::initialize_xnnpack());
  auto packed = std::make_shared<ops::PackedModel>(std::move(model), chosen, range, options);
  for (OpIndex op = range.first; op < range.last; ++op) {
    // Only what it leaves in the cache is wanted.
    CLEAVE_RETURN_IF_ERROR(packed->create_op(op).status());
  }
  packed->release_pages_not_in_place();
  return std::shared_ptr<const Weights>(std::move(packed));
}

}  // namespace cleave
