// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/weight_cache.h"

#include <malloc.h>
#include <xnnpack.h>

#include <algorithm>
#include <utility>

namespace cleave {
namespace {

constexpr std::size_t kNotFound = SIZE_MAX;
// An entry is one block, so every packed op begins at the same place in it.
constexpr std::size_t kOffset = 0;

}  // namespace

PackedWeights::PackedWeights()
    : provider_(std::make_unique<xnn_weights_cache_provider>(xnn_weights_cache_provider{
          .context = this,
          .look_up = [](void* context,
                        const xnn_weights_cache_look_up_key*) { return of(context).look_up(); },
          .reserve_space = [](void* context,
                              std::size_t bytes) { return of(context).reserve(bytes); },
          .look_up_or_insert =
              [](void* context, const xnn_weights_cache_look_up_key*, void* packed,
                 std::size_t bytes) { return of(context).look_up_or_insert(packed, bytes); },
          // XNNPACK lets operators run only once their cache is final; ours never moves a block.
          .is_finalized = [](void*) { return true; },
          .offset_to_addr = [](void* context, std::size_t) { return of(context).address(); },
          .delete_cache = [](void*) { return xnn_status_success; }})) {}

PackedWeights::~PackedWeights() = default;

void PackedWeights::use_files(PackedWeightsFiles files) { files_ = std::move(files); }

const void* PackedWeights::find_or_make(std::size_t bytes, const std::function<void(void*)>& fill) {
  const std::lock_guard lock(mutex_);
  if (packed_ != nullptr) return packed_;
  if (find_in_files()) {
    if (bytes_ == bytes) return packed_;
    packed_ = nullptr;
    bytes_ = 0;
    mapped_.reset();
  }
  Block block(counted_allocate(bytes));
  if (block == nullptr) return nullptr;
  fill(block.get());
  fill_with(std::move(block), bytes);
  return packed_;
}

bool PackedWeights::find() {
  const std::lock_guard lock(mutex_);
  return packed_ != nullptr || find_in_files();
}

// REQUIRES: mutex_ is held, the entry is empty.
bool PackedWeights::find_in_files() {
  if (files_.folder == nullptr || file_key_) return false;
  const auto key = files_.key();
  if (!key.is_ok()) {
    files_.folder->note_problem(key.status());
    return false;
  }
  mapped_.reset();
  if (auto found = files_.folder->find(*key)) mapped_.emplace(std::move(*found));
  file_key_ = *key;
  if (!mapped_) return false;
  packed_ = const_cast<std::byte*>(mapped_->payload().data());
  bytes_ = mapped_->payload().size();
  return true;
}

// REQUIRES: mutex_ is held, the entry is empty.
void PackedWeights::fill_with(Block block, std::size_t bytes) {
  block_ = std::move(block);
  packed_ = block_.get();
  bytes_ = bytes;
  if (!file_key_) return;
  const Status source = files_.check_source();
  if (!source.is_ok()) return files_.folder->note_problem(source);
  auto stored = files_.folder->store(*file_key_, {static_cast<const std::byte*>(packed_), bytes});
  if (!stored) return;
  // From here on the pages are those that other processes have, too.
  mapped_.emplace(std::move(*stored));
  packed_ = const_cast<std::byte*>(mapped_->payload().data());
  block_.reset();
  // Freed blocks would otherwise stay resident beside the pages of the file: the memory plan counts
  // weights once.
  ::malloc_trim(0);
}

void PackedWeights::read_in_place(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  in_place_ = true;
  bytes_ = bytes;
}

bool PackedWeights::is_read_in_place() const {
  const std::lock_guard lock(mutex_);
  return in_place_;
}

std::size_t PackedWeights::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t PackedWeights::look_up() { return find() ? kOffset : kNotFound; }

void* PackedWeights::reserve(std::size_t bytes) {
  Block block(counted_allocate(bytes));
  if (block == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  reserved_.push_back(std::move(block));
  return reserved_.back().get();
}

std::size_t PackedWeights::look_up_or_insert(void* packed, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto offered = std::find_if(reserved_.begin(), reserved_.end(),
                                    [&](const Block& block) { return block.get() == packed; });
  if (offered != reserved_.end()) {
    Block block = std::move(*offered);
    reserved_.erase(offered);
    if (packed_ == nullptr) fill_with(std::move(block), bytes);
  }
  return packed_ == nullptr ? kNotFound : kOffset;
}

void* PackedWeights::address() const {
  const std::lock_guard lock(mutex_);
  return packed_;
}

xnn_weights_cache_provider* planning_only_provider() {
  // Depthwise convolutions pack without asking; their copy lives from reserve to insert.
  static xnn_weights_cache_provider provider{
      .context = nullptr,
      .look_up = [](void*, const xnn_weights_cache_look_up_key*) { return kOffset; },
      .reserve_space = [](void*, std::size_t bytes) { return counted_allocate(bytes); },
      .look_up_or_insert =
          [](void*, const xnn_weights_cache_look_up_key*, void* packed, std::size_t) {
            counted_free(packed);
            return kOffset;
          },
      .is_finalized = [](void*) { return true; },
      .offset_to_addr = [](void*, std::size_t) -> void* { return nullptr; },
      .delete_cache = [](void*) { return xnn_status_success; }};
  return &provider;
}

}  // namespace cleave
