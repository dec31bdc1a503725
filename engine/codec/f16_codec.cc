// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "engine/codec/codec_factories.h"
#include "engine/kernels/half.h"

namespace cleave::codec {
namespace {

constexpr std::uint32_t kLargestHalf = 0x477FE000;  // 65504, as f32 bits
constexpr std::uint32_t kF32Infinity = 0x7F800000;

// What is finite stays finite: one infinity would make every score of the tail NaN.
std::uint16_t saturated_half(std::uint32_t bits) {
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  const bool too_large = magnitude > kLargestHalf && magnitude < kF32Infinity;
  const std::uint32_t kept = too_large ? (bits & 0x80000000) | kLargestHalf : bits;
  return kernels::float_to_half(std::bit_cast<float>(kept));
}

std::size_t f16_bytes(const BoundaryTensor& tensor) {
  return tensor.is_f32() ? tensor.bytes() / 2 : tensor.bytes();
}

void encode_tensor(std::span<const std::byte> tensor, std::byte* out) {
  for (std::size_t i = 0; i < tensor.size() / 4; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, tensor.data() + 4 * i, 4);
    const std::uint16_t half = saturated_half(bits);
    out[2 * i] = static_cast<std::byte>(half & 255);
    out[2 * i + 1] = static_cast<std::byte>(half >> 8);
  }
}

void decode_tensor(const std::byte* bytes, std::span<std::byte> tensor) {
  for (std::size_t i = 0; i < tensor.size() / 4; ++i) {
    const auto half = static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[2 * i]) |
                                                 std::to_integer<unsigned>(bytes[2 * i + 1]) << 8);
    const bool is_nan = (half & 0x7FFF) > 0x7C00;  // its payload may not differ by architecture
    const auto sound = static_cast<std::uint16_t>(is_nan ? (half & 0x8000) | 0x7E00 : half);
    const float value = kernels::half_to_float(sound);
    std::memcpy(tensor.data() + 4 * i, &value, 4);
  }
}

class F16Codec final : public BoundaryCodec {
 public:
  explicit F16Codec(const Boundary& boundary) : boundary_(boundary) {
    for (const BoundaryTensor& tensor : boundary_) bytes_ += f16_bytes(tensor);
  }

  [[nodiscard]] std::size_t max_encoded_bytes() const override { return bytes_; }

  [[nodiscard]] std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                   std::span<std::byte> out) override {
    std::byte* to = out.data();
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      if (boundary_[i].is_f32()) {
        encode_tensor(tensors[i], to);
      } else {
        std::ranges::copy(tensors[i], to);
      }
      to += f16_bytes(boundary_[i]);
    }
    return bytes_;
  }

  [[nodiscard]] Status decode(std::span<const std::byte> bytes,
                              std::span<const std::span<std::byte>> tensors) override {
    if (bytes.size() != bytes_) return {StatusCode::kCorrupt, "not as long as f16 tensors"};
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      const std::size_t count = f16_bytes(boundary_[i]);
      if (boundary_[i].is_f32()) {
        decode_tensor(bytes.data(), tensors[i]);
      } else {
        std::ranges::copy(bytes.first(count), tensors[i].begin());
      }
      bytes = bytes.subspan(count);
    }
    return Status::ok();
  }

 private:
  Boundary boundary_;
  std::size_t bytes_ = 0;
};

}  // namespace

Created make_f16_codec(const Boundary& boundary) {
  if (std::ranges::none_of(boundary, &BoundaryTensor::is_f32)) {
    return Status(StatusCode::kUnsupported, "no f32 tensor crosses this cut");
  }
  return std::unique_ptr<BoundaryCodec>(std::make_unique<F16Codec>(boundary));
}

}  // namespace cleave::codec
