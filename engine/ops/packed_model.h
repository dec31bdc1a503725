// SPDX-License-Identifier: Apache-2.0
//
// The Weights that this engine makes: the model file with a packed entry for each op of a range.
#pragma once

#include "engine/memory/weight_cache.h"
#include "engine/ops/op.h"
#include "engine/weights.h"

namespace cleave::ops {

class PackedModel final : public Weights {
 public:
  PackedModel(std::shared_ptr<const ModelFile> model, const fbs::Variant& variant, OpRange range,
              const WeightsOptions& options);
  // Gives back the pages of what was read in place; another PackedModel of the same file that still
  // reads them faults them in again.
  ~PackedModel() override;

  [[nodiscard]] const ModelFile& model() const override { return *model_; }
  [[nodiscard]] const fbs::Variant& variant() const override { return variant_; }
  [[nodiscard]] OpRange range() const override { return range_; }
  [[nodiscard]] std::uint64_t packed_bytes(OpRange ops) const override;

  // Makes op `index` from its packed weights, packing them when that was not done yet, and gives
  // the pages of the file back. Thread-safe. REQUIRES: index in range().
  [[nodiscard]] OpResult create_op(OpIndex index) const;

  // Gives back all pages of the variant's weights but those that this reads in place. For when ops
  // were made: the kernel maps pages around each one that is read, up to 2 MiB, those of ops
  // outside of the range among them. Another PackedModel that reads there faults its pages in
  // again.
  void release_pages_not_in_place() const;

 private:
  void keep_neighbours_small() const;
  void use_files(OpIndex index, const std::shared_ptr<WeightCacheFolder>& cache);
  [[nodiscard]] Result<OpSpec> spec(OpIndex index) const;

  std::shared_ptr<const ModelFile> model_;
  const fbs::Variant& variant_;
  OpRange range_;
  Preference preference_;
  WeightCache cache_;  // by op - range_.first
};

}  // namespace cleave::ops
