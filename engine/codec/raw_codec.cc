// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "engine/codec/codec_factories.h"
#include "engine/codec/stored_tensors.h"

namespace cleave::codec {
namespace {

class RawCodec final : public BoundaryCodec {
 public:
  explicit RawCodec(const Boundary& boundary) : bytes_(bytes_of(boundary)) {}

  [[nodiscard]] std::size_t max_encoded_bytes() const override { return bytes_; }

  [[nodiscard]] std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                   std::span<std::byte> out) override {
    return store_tensors(tensors, out);
  }

  [[nodiscard]] Status decode(std::span<const std::byte> bytes,
                              std::span<const std::span<std::byte>> tensors) override {
    return load_tensors(bytes, tensors);
  }

 private:
  std::size_t bytes_;
};

}  // namespace

Created make_raw_codec(const Boundary& boundary) {
  return std::unique_ptr<BoundaryCodec>(std::make_unique<RawCodec>(boundary));
}

}  // namespace cleave::codec
