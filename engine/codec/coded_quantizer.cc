// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_quantizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/codec/coded_steps.h"

namespace cleave::codec {
namespace {

constexpr std::int32_t kMostLevelBits = 0x42FE0000;  // 127.0F
constexpr std::int32_t kMostPlaceBits = 0x46FE0000;  // 256 times that

std::uint8_t bits_of(int level) { return static_cast<std::uint8_t>(level); }

}  // namespace

CodedQuantizer::CodedQuantizer(const CodedTensorTable& table, const BoundaryTensor& tensor)
    : is_f32_(tensor.is_f32()),
      rounding_(static_cast<float>(table.rounding) * 0x1p-8F),
      sign_mask_(table.has_sign ? -1 : 0) {
  const auto step = std::bit_cast<float>(std::uint32_t{table.step} << 16);
  per_step_ = 1.0F / step;
  for (int level = -kMostLevel - 1; level <= kMostLevel; ++level) {
    // 15 bits times the 8 of a step: exact.
    const std::int32_t place = place_of(table, std::min(std::abs(level), kMostLevel));
    const float magnitude = static_cast<float>(place) * 0x1p-8F * step;
    const float value = level < 0 ? -magnitude : magnitude;
    value_of_level_[bits_of(level)] = value;
    const float nearest = std::floor(std::clamp(value, -512.0F, 512.0F) + 0.5F);
    const auto q = static_cast<std::int32_t>(nearest) + tensor.zero_point;
    int8_of_level_[bits_of(level)] = static_cast<std::byte>(std::clamp(q, -128, 127));
  }
  for (int q = -128; q <= 127; ++q) {
    const auto value = static_cast<float>(q - tensor.zero_point);
    std::array<std::byte, 4> bytes{};
    std::memcpy(bytes.data(), &value, 4);
    quantize_f32(bytes, std::span(level_of_int8_).subspan(bits_of(q), 1));
    place_f32(bytes, std::span(place_of_int8_).subspan(bits_of(q), 1));
  }
}

void CodedQuantizer::quantize_f32(std::span<const std::byte> values,
                                  std::span<std::int8_t> levels) const {
  const std::byte* from = values.data();
  std::int8_t* to = levels.data();
  const float per_step = per_step_;
  const float rounding = rounding_;
  const std::int32_t sign_mask = sign_mask_;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const SignedSteps level = steps_of(from + 4 * i, per_step, rounding, kMostLevelBits);
    to[i] = static_cast<std::int8_t>(level.value() & (sign_mask | ~level.sign));
  }
}

void CodedQuantizer::quantize_int8(std::span<const std::byte> values,
                                   std::span<std::int8_t> levels) const {
  for (std::size_t i = 0; i < levels.size(); ++i) {
    levels[i] = level_of_int8_[std::to_integer<std::uint8_t>(values[i])];
  }
}

void CodedQuantizer::place_f32(std::span<const std::byte> values,
                               std::span<std::int16_t> places) const {
  const std::byte* from = values.data();
  std::int16_t* to = places.data();
  const float per_place = 256 * per_step_;
  const std::int32_t sign_mask = sign_mask_;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const SignedSteps place = steps_of(from + 4 * i, per_place, 0.0F, kMostPlaceBits);
    to[i] = static_cast<std::int16_t>(place.value() & (sign_mask | ~place.sign));
  }
}

void CodedQuantizer::place_int8(std::span<const std::byte> values,
                                std::span<std::int16_t> places) const {
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i] = place_of_int8_[std::to_integer<std::uint8_t>(values[i])];
  }
}

void CodedQuantizer::restore_f32(std::span<const std::int8_t> levels,
                                 std::span<std::byte> values) const {
  std::byte* to = values.data();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    std::memcpy(to + 4 * i, &value_of_level_[bits_of(levels[i])], 4);
  }
}

void CodedQuantizer::restore_int8(std::span<const std::int8_t> levels,
                                  std::span<std::byte> values) const {
  for (std::size_t i = 0; i < levels.size(); ++i) values[i] = int8_of_level_[bits_of(levels[i])];
}

}  // namespace cleave::codec
