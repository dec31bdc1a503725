// SPDX-License-Identifier: Apache-2.0
//
// Packed weights, an entry per op, behind the interface through which XNNPACK asks for them.
//
// XNNPACK packs an operator's weights when the operator is created, unless a cache provider says
// that they are there already. Weights::create makes every operator once, which fills the entries;
// each executor then makes its own operators from the filled entries, in microseconds.
//
// With a folder of files (engine/weight_cache_folder.h) an entry that is asked for is looked for
// there before it is packed, and written there after that. A hit costs the operator microseconds;
// the kernel and bias in the model file are then not read at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/memory/counting_allocator.h"
#include "engine/weight_cache_folder.h"

struct xnn_weights_cache_provider;
struct xnn_weights_cache_look_up_key;

namespace cleave {

// Where the files are, and what an entry has to know to use them.
struct PackedWeightsFiles {
  std::shared_ptr<WeightCacheFolder> folder;
  std::function<Result<WeightCacheKey>()> key;
  std::function<Status()> check_source;  // whether what was packed from is what the key says
};

// The packed weights of one op. Its address must not change: XNNPACK's operators keep it.
//
// XNNPACK looks entries up by the addresses of kernel and bias and a hash of the shape. Here the
// entry belongs to one op, so what it holds is the answer whatever the key: one op packs one block.
// Depthwise convolutions do not look first: they pack into reserved space each time they are made
// and then offer it. When the entry is filled already, the offered copy is dropped. They are not
// looked for in files and not written: nothing would be saved. (Those on int8 that kernels of our
// own compute are packed once, by find_or_make().)
//
// Thread-safe: executors may be made at the same time.
class PackedWeights {
 public:
  PackedWeights();
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Looks into files before packing, from now on. REQUIRES: nothing was packed or looked up yet.
  void use_files(PackedWeightsFiles files);
  // What to give to XNNPACK; lives as long as this.
  [[nodiscard]] xnn_weights_cache_provider* provider() { return provider_.get(); }
  // Whether the entry is filled, if need be from the files.
  [[nodiscard]] bool find();
  // The entry's block: the one that is there, one of `bytes` from the files, or a new one, aligned
  // to 64, that `fill` has written. nullptr: no memory. For kernels of our own.
  [[nodiscard]] const void* find_or_make(std::size_t bytes, const std::function<void(void*)>& fill);
  // Says that the op reads `bytes` of weights where the model file has them, and packs nothing.
  void read_in_place(std::size_t bytes);
  [[nodiscard]] bool is_read_in_place() const;
  // Bytes of memory that the op's weights take: packed, or pages of the file. 0 while nothing was
  // packed.
  [[nodiscard]] std::size_t bytes() const;

 private:
  using Block = std::unique_ptr<void, CountedFree>;

  std::size_t look_up();
  bool find_in_files();
  void fill_with(Block block, std::size_t bytes);
  void* reserve(std::size_t bytes);
  std::size_t look_up_or_insert(void* packed, std::size_t bytes);
  void* address() const;
  static PackedWeights& of(void* context) { return *static_cast<PackedWeights*>(context); }

  mutable std::mutex mutex_;
  void* packed_ = nullptr;  // in block_ or mapped_
  Block block_;
  std::optional<MappedWeights> mapped_;  // read-only: nobody writes to what was packed
  std::size_t bytes_ = 0;
  PackedWeightsFiles files_;
  std::optional<WeightCacheKey> file_key_;  // once it was looked for in the files
  bool in_place_ = false;
  std::vector<Block> reserved_;  // handed out by reserve(), not offered yet
  std::unique_ptr<xnn_weights_cache_provider> provider_;
};

// The entries of ops [0, op_count); ops without weights keep an empty one.
class WeightCache {
 public:
  explicit WeightCache(std::size_t op_count) {
    entries_.reserve(op_count);
    for (std::size_t i = 0; i < op_count; ++i)
      entries_.push_back(std::make_unique<PackedWeights>());
  }
  // Thread-safe, as the entry is.
  [[nodiscard]] PackedWeights& entry(std::size_t op) const { return *entries_[op]; }

 private:
  std::vector<std::unique_ptr<PackedWeights>> entries_;
};

// A provider that claims to hold everything and holds nothing: operators made from it can be
// reshaped (to learn their workspace) but must never run. For planning without weights.
[[nodiscard]] xnn_weights_cache_provider* planning_only_provider();

}  // namespace cleave
