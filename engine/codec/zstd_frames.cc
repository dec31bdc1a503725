// SPDX-License-Identifier: Apache-2.0
#define ZSTD_STATIC_LINKING_ONLY  // contexts in memory of ours
#include "engine/codec/zstd_frames.h"

#include <zstd.h>

#include <algorithm>
#include <utility>

#include "engine/aligned_buffer.h"

namespace cleave::codec {
namespace {

// Higher levels gain a percent or two on activations and take several times as long.
constexpr int kLevel = 1;

class StaticZstdFrames final : public ZstdFrames {
 public:
  explicit StaticZstdFrames(std::size_t most_bytes)
      : parameters_(ZSTD_getCParams(kLevel, most_bytes, 0)),
        encoder_memory_(ZSTD_estimateCCtxSize_usingCParams(parameters_)),
        decoder_memory_(ZSTD_estimateDCtxSize()) {
    if (encoder_memory_.data() == nullptr || decoder_memory_.data() == nullptr) return;
    encoder_ = ZSTD_initStaticCCtx(encoder_memory_.data(), encoder_memory_.capacity());
    decoder_ = ZSTD_initStaticDCtx(decoder_memory_.data(), decoder_memory_.capacity());
    if (encoder_ == nullptr || decoder_ == nullptr || !takes_parameters()) encoder_ = nullptr;
  }

  [[nodiscard]] bool is_usable() const { return encoder_ != nullptr && decoder_ != nullptr; }

  [[nodiscard]] std::size_t held_bytes() const override {
    return encoder_memory_.capacity() + decoder_memory_.capacity();
  }

  [[nodiscard]] std::size_t compress(std::span<const std::byte> bytes,
                                     std::span<std::byte> out) override {
    const std::size_t length =
        ZSTD_compress2(encoder_, out.data(), out.size(), bytes.data(), bytes.size());
    return ZSTD_isError(length) != 0 ? 0 : length;
  }

  [[nodiscard]] bool decompress(std::span<const std::byte> frame,
                                std::span<std::byte> out) override {
    return ZSTD_decompressDCtx(decoder_, out.data(), out.size(), frame.data(), frame.size()) ==
           out.size();
  }

 private:
  // All of them: those that are left to a level may differ with the length of an input, and with it
  // the memory.
  [[nodiscard]] bool takes_parameters() {
    const std::pair<ZSTD_cParameter, unsigned> values[] = {
        {ZSTD_c_windowLog, parameters_.windowLog}, {ZSTD_c_hashLog, parameters_.hashLog},
        {ZSTD_c_chainLog, parameters_.chainLog},   {ZSTD_c_searchLog, parameters_.searchLog},
        {ZSTD_c_minMatch, parameters_.minMatch},   {ZSTD_c_targetLength, parameters_.targetLength},
        {ZSTD_c_strategy, parameters_.strategy}};
    return std::ranges::all_of(values, [&](const auto& value) {
      return ZSTD_isError(ZSTD_CCtx_setParameter(encoder_, value.first,
                                                 static_cast<int>(value.second))) == 0;
    });
  }

  ZSTD_compressionParameters parameters_;
  AlignedBuffer encoder_memory_, decoder_memory_;
  ZSTD_CCtx* encoder_ = nullptr;
  ZSTD_DCtx* decoder_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<ZstdFrames>> ZstdFrames::create(std::size_t most_bytes) {
  auto frames = std::make_unique<StaticZstdFrames>(most_bytes);
  if (!frames->is_usable()) {
    return Status(StatusCode::kResourceExhausted, "no memory for the lossless codec");
  }
  return std::unique_ptr<ZstdFrames>(std::move(frames));
}

}  // namespace cleave::codec
