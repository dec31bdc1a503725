// SPDX-License-Identifier: Apache-2.0
//
// The packed weights of a range of ops: made once, immutable, shared by every executor of the
// process (decision 5 of the design). Packing is XNNPACK's; the layout depends on the kernels this
// CPU runs, so packed bytes never leave the machine: they may be kept in its weight cache
// (weight_cache_folder.h).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/preference.h"
#include "engine/tensor.h"
#include "engine/weight_cache_folder.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// Bytes of the op's kernel and bias in the model file; 0 for an op without weights.
[[nodiscard]] std::uint64_t weight_bytes(const fbs::Op& op);

// Bytes of memory that the weights of op `op` take once they are ready to run on this CPU: packed,
// or read from the file in place. More than weight_bytes() where Winograd's transform is used.
// Within a few percent: XNNPACK fills up its last columns. `preference`: that of the weights it is
// for. REQUIRES: an op of `variant`. Thread-safe.
[[nodiscard]] std::uint64_t weight_ram_bytes(const fbs::Variant& variant, OpIndex op,
                                             Preference preference = Preference::kSpeed);

// Bytes of the file that a weight cache keeps for op `op`; 0 for ops that have none: without
// weights, fully connected (read in the model file), depthwise (XNNPACK packs those each time;
// those on int8 that are our own have one). Within a few percent, as weight_ram_bytes(). REQUIRES:
// an op of `variant`. Thread-safe.
[[nodiscard]] std::uint64_t weight_cache_bytes(const fbs::Variant& variant, OpIndex op,
                                               Preference preference = Preference::kSpeed);

// How many ops from the first have all their weights in what is held of `model`: all of them, but
// in a model folder. REQUIRES: variant in range. Thread-safe.
[[nodiscard]] OpIndex held_ops(const ModelFile& model, std::uint32_t variant);

struct WeightsOptions {
  // May be null: packed in this process, kept nowhere.
  std::shared_ptr<WeightCacheFolder> cache = nullptr;
  // Which form of each op is made. Executors follow their weights; what is planned without weights
  // must be told the same.
  Preference preference = Preference::kSpeed;
};

class Weights {
 public:
  // Packs ops `range` of `variant`, or maps what the cache has of them, and gives it
  // what it has not: a cache that fails only costs time, and says so in its status(). Reads the
  // model's segments and gives their pages back; those of depthwise convolutions (small) are read
  // again whenever an executor is created. Errors: kOutOfRange (variant or range), kNotFound
  // (weights that are not held), kUnsupported (an op this engine cannot run), kResourceExhausted.
  // Thread-safe; takes milliseconds to seconds (VGG-16: all weights once).
  static Result<std::shared_ptr<const Weights>> create(std::shared_ptr<const ModelFile> model,
                                                       std::uint32_t variant, OpRange range,
                                                       const WeightsOptions& options = {});
  virtual ~Weights() = default;
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  [[nodiscard]] virtual const ModelFile& model() const = 0;
  [[nodiscard]] virtual const fbs::Variant& variant() const = 0;
  [[nodiscard]] virtual OpRange range() const = 0;
  // Bytes of packed weights held for ops [first, last), a sub-range of range().
  [[nodiscard]] virtual std::uint64_t packed_bytes(OpRange ops) const = 0;

 protected:
  Weights() = default;
};

}  // namespace cleave
