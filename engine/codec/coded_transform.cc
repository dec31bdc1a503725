// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_transform.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "engine/codec/coded_steps.h"

namespace cleave::codec {
namespace {

constexpr int kDirectionBits = 14;  // of a fraction
constexpr int kStepBits = 3;
constexpr int kPlaceBits = 8;
// With the caps on directions and steps, products and their sums stay within 32 bits.
constexpr std::int32_t kMostUnits = 4095;
constexpr std::int32_t kMostTurned = 8191;

constexpr std::int32_t kMostUnitBits = 0x46800000;  // 16384.0F

std::int16_t narrow(std::int32_t value, std::int32_t most) {
  return static_cast<std::int16_t>(std::clamp(value, -most, most));
}

// In units, to the nearest, less the channel's mean.
void to_units(const std::byte* from, float per_unit, std::span<const std::int16_t> means,
              std::span<std::int16_t> units) {
  const std::int16_t* mean = means.data();
  std::int16_t* to = units.data();
  for (std::size_t c = 0; c < units.size(); ++c) {
    const SignedSteps nearest = steps_of(from + 4 * c, per_unit, 0.5F, kMostUnitBits);
    to[c] = narrow(nearest.value() - mean[c], kMostUnits);
  }
}

// The sum of products, to the nearest, .5 upwards. The caps keep it within 32 bits.
std::int32_t product_of(const std::int16_t* row, const std::int16_t* vector, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += std::int32_t{row[i]} * vector[i];
  return (sum + (1 << (kDirectionBits - 1))) >> kDirectionBits;
}

// Sums and differences of all pairs of positions whose index differs in one bit, bit by bit
// (Walsh and Hadamard): the reverse is the same, times the number of positions.
void sums_and_differences(std::span<std::int32_t> block, std::size_t channels) {
  for (std::size_t apart = channels; apart < block.size(); apart *= 2) {
    for (std::size_t at = 0; at < block.size(); at += 2 * apart) {
      std::int32_t* first = block.data() + at;
      std::int32_t* second = first + apart;
      for (std::size_t i = 0; i < apart; ++i) {
        const std::int32_t sum = first[i] + second[i];
        second[i] = first[i] - second[i];
        first[i] = sum;
      }
    }
  }
}

std::vector<std::int16_t> transposed(std::span<const std::int16_t> square, std::size_t side) {
  std::vector<std::int16_t> result(square.size());
  for (std::size_t i = 0; i < square.size(); ++i) result[i % side * side + i / side] = square[i];
  return result;
}

}  // namespace

CodedTransform::CodedTransform(const CodedTensorTable& table, const BoundaryTensor& tensor)
    : channels_(tensor.channels),
      width_(tensor.width),
      side_(table.transform->side),
      unit_(std::bit_cast<float>(std::uint32_t{table.step} << 16)),
      per_unit_(1.0F / unit_),
      rounding_(static_cast<float>(table.rounding) * 0x1p-8F),
      means_(table.transform->means),
      directions_(table.transform->directions),
      by_channel_(transposed(directions_, channels_)),
      row_(side_ * width_ * channels_),
      position_(channels_),
      block_(side_ * side_ * channels_) {
  for (const std::uint16_t step : table.transform->steps) {
    steps_.push_back(step);
    per_step_.push_back(static_cast<float>(1 << kStepBits) / static_cast<float>(step));
  }
  for (int level = -kMostLevel - 1; level <= kMostLevel; ++level) {
    const std::int32_t place = place_of(table, std::min(std::abs(level), kMostLevel));
    place_of_level_[static_cast<std::uint8_t>(level)] = level < 0 ? -place : place;
  }
}

std::size_t CodedTransform::held_bytes() const {
  return 2 * (means_.size() + 2 * directions_.size() + row_.size() + position_.size()) +
         4 * (steps_.size() + per_step_.size() + block_.size());
}

void CodedTransform::turn_row(std::span<const std::byte> values) {
  const std::size_t channels = channels_;
  for (std::size_t p = 0; p < side_ * width_; ++p) {
    to_units(values.data() + 4 * p * channels, per_unit_, means_, position_);
    std::int16_t* turned = row_.data() + p * channels;
    for (std::size_t k = 0; k < channels; ++k) {
      turned[k] =
          narrow(product_of(&directions_[k * channels], position_.data(), channels), kMostTurned);
    }
  }
}

void CodedTransform::gather_block(std::size_t block) {
  std::int32_t* to = block_.data();
  for (std::size_t y = 0; y < side_; ++y) {
    const std::int16_t* from = row_.data() + (y * width_ + block * side_) * channels_;
    for (std::size_t i = 0; i < side_ * channels_; ++i) *to++ = from[i];
  }
}

void CodedTransform::scatter_block(std::size_t block) {
  const auto positions = static_cast<std::int32_t>(side_ * side_);
  const int shift = std::countr_zero(static_cast<unsigned>(positions));
  const std::int32_t* from = block_.data();
  for (std::size_t y = 0; y < side_; ++y) {
    std::int16_t* to = row_.data() + (y * width_ + block * side_) * channels_;
    for (std::size_t i = 0; i < side_ * channels_; ++i) {
      to[i] = narrow((*from++ + positions / 2) >> shift, kMostTurned);
    }
  }
}

void CodedTransform::quantize_block(std::span<std::int8_t> levels) const {
  const std::int32_t* from = block_.data();
  const float* per_step = per_step_.data();
  const float rounding = rounding_;
  std::int8_t* to = levels.data();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::int32_t sign = from[i] >> 31;
    const std::int32_t magnitude = (from[i] ^ sign) - sign;
    const auto exact =
        static_cast<std::int32_t>(static_cast<float>(magnitude) * per_step[i] + rounding);
    const std::int32_t level = std::min(exact, kMostLevel);
    to[i] = static_cast<std::int8_t>((level ^ sign) - sign);
  }
}

void CodedTransform::place_block(std::span<std::int16_t> places) const {
  const std::int32_t* from = block_.data();
  const float* per_step = per_step_.data();
  std::int16_t* to = places.data();
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int32_t sign = from[i] >> 31;
    const std::int32_t magnitude = (from[i] ^ sign) - sign;
    const auto exact =
        static_cast<std::int32_t>(static_cast<float>(magnitude) * (256 * per_step[i]));
    const std::int32_t place = std::min(exact, kMostPlace);
    to[i] = static_cast<std::int16_t>((place ^ sign) - sign);
  }
}

void CodedTransform::restore_block(std::span<const std::int8_t> levels) {
  constexpr int kShift = kStepBits + kPlaceBits;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::int32_t place = place_of_level_[static_cast<std::uint8_t>(levels[i])];
    block_[i] = (place * steps_[i] + (1 << (kShift - 1))) >> kShift;
  }
}

template <typename Take>
void CodedTransform::for_blocks(std::span<const std::byte> values, const Take& take) {
  turn_row(values);
  for (std::size_t block = 0; block < width_ / side_; ++block) {
    gather_block(block);
    sums_and_differences(block_, channels_);
    take(block * block_.size());
  }
}

void CodedTransform::quantize(std::span<const std::byte> values, std::span<std::int8_t> levels) {
  for_blocks(values, [&](std::size_t i) { quantize_block(levels.subspan(i, block_.size())); });
}

void CodedTransform::place(std::span<const std::byte> values, std::span<std::int16_t> places) {
  for_blocks(values, [&](std::size_t i) { place_block(places.subspan(i, block_.size())); });
}

void CodedTransform::coefficients(std::span<const std::byte> values, std::span<std::int32_t> out) {
  for_blocks(values, [&](std::size_t i) {
    std::ranges::copy(block_, out.begin() + static_cast<std::ptrdiff_t>(i));
  });
}

void CodedTransform::restore(std::span<const std::int8_t> levels, std::span<std::byte> values) {
  for (std::size_t block = 0; block < width_ / side_; ++block) {
    restore_block(levels.subspan(block * block_.size(), block_.size()));
    sums_and_differences(block_, channels_);
    scatter_block(block);
  }
  std::byte* to = values.data();
  for (std::size_t p = 0; p < side_ * width_; ++p) {
    const std::int16_t* turned = row_.data() + p * channels_;
    for (std::size_t c = 0; c < channels_; ++c, to += 4) {
      const std::int32_t units = product_of(&by_channel_[c * channels_], turned, channels_);
      const float value = static_cast<float>(narrow(units + means_[c], 32767)) * unit_;
      std::memcpy(to, &value, 4);
    }
  }
}

}  // namespace cleave::codec
