// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/level_coder.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "engine/codec/bit_costs.h"
#include "engine/codec/coded_steps.h"

namespace cleave::codec {
namespace {

constexpr int kFirstEscape = static_cast<int>(kQuestions) - 1;  // magnitudes from 7
// kMostLevel - kFirstEscape + 1 has so many bits.
constexpr unsigned kMostEscapeBits = 7;

BitModel model_of(std::uint8_t probability) {
  const auto scaled = static_cast<std::uint16_t>((2 * probability + 1) * 128);
  return {.quick = scaled, .slow = scaled};
}

// Elias's gamma code of a number from 1.
void encode_escape(RangeEncoder& encoder, unsigned number) {
  const unsigned width = static_cast<unsigned>(std::bit_width(number));
  for (unsigned i = 1; i < width; ++i) encoder.encode_even(true);
  if (width < kMostEscapeBits) encoder.encode_even(false);
  for (unsigned i = width - 1; i-- > 0;) encoder.encode_even((number >> i & 1) != 0);
}

unsigned decode_escape(RangeDecoder& decoder) {
  unsigned width = 1;
  while (width < kMostEscapeBits && decoder.decode_even()) ++width;
  unsigned number = 1;
  for (unsigned i = 1; i < width; ++i) number = number << 1 | (decoder.decode_even() ? 1 : 0);
  return number;
}

}  // namespace

LevelCoder::LevelCoder(const CodedTensorTable& table, std::size_t width, std::size_t channels)
    : has_sign_(table.has_sign),
      bit_weight_(table.bit_weight),
      rounding_(table.rounding),
      channels_(channels),
      row_(width * channels),
      classes_(channels) {
  for (int magnitude = 0; magnitude < kFirstEscape; ++magnitude) {
    place_of_magnitude_[static_cast<std::size_t>(magnitude)] = place_of(table, magnitude);
  }
  for (const std::uint8_t channel_class : table.channel_class) {
    first_context_.push_back(static_cast<std::uint16_t>(channel_class * kNeighbourClasses));
  }
  for (std::size_t i = 0; i < table.probabilities.size(); i += kQuestions) {
    Context& context = initial_.emplace_back();
    context.is_zero = model_of(table.probabilities[i]);
    context.is_negative = model_of(table.probabilities[i + 1]);
    for (std::size_t more = 2; more < kQuestions; ++more) {
      context.is_more[more - 2] = model_of(table.probabilities[i + more]);
    }
  }
  contexts_ = initial_;
  for (auto& row : rows_) row.resize(row_ + 2 * channels_);
}

std::size_t LevelCoder::held_bytes() const {
  return 2 * (row_ + 2 * channels_) + 3 * channels_ + 2 * initial_.size() * sizeof(Context);
}

void LevelCoder::start() {
  std::ranges::copy(initial_, contexts_.begin());
  std::ranges::fill(rows_[at_hand_], std::int8_t{0});
}

std::span<std::int8_t> LevelCoder::next_row() {
  at_hand_ ^= 1;
  return std::span(rows_[at_hand_]).subspan(channels_, row_);
}

void LevelCoder::find_classes(std::size_t position) {
  const std::int8_t* above = rows_[at_hand_ ^ 1].data() + position;
  const Neighbours neighbours{.left = rows_[at_hand_].data() + position,
                              .top = above + channels_,
                              .top_left = above,
                              .top_right = above + 2 * channels_};
  if (has_sign_) {
    signed_classes(neighbours, classes_);
  } else {
    unsigned_classes(neighbours, classes_);
  }
}

LevelCoder::Places LevelCoder::places() {
  return {.contexts = contexts_.data(),
          .first = first_context_.data(),
          .classes = classes_.data(),
          .channels = channels_};
}

template <bool kHasSign>
inline void LevelCoder::encode_level(RangeEncoder& encoder, Context& context, int level) {
  encoder.encode(context.is_zero, level == 0);
  if (level == 0) return;
  if constexpr (kHasSign) encoder.encode(context.is_negative, level < 0);
  const int magnitude = kHasSign && level < 0 ? -level : level;
  for (int than = 1; than < kFirstEscape; ++than) {
    encoder.encode(context.is_more[static_cast<std::size_t>(than - 1)], magnitude > than);
    if (magnitude == than) return;
  }
  encode_escape(encoder, static_cast<unsigned>(magnitude - kFirstEscape + 1));
}

// What a magnitude costs more than the one below it: the questions that tell them apart.
template <bool kHasSign>
inline int LevelCoder::choose_level(const Context& context, int place) const {
  const std::int32_t value = std::abs(place);
  int magnitude = std::min((value + 128) >> 8, kMostLevel);
  if (magnitude >= kFirstEscape) {
    magnitude = std::min((value + rounding_) >> 8, kMostLevel);
    return place < 0 ? -magnitude : magnitude;
  }
  for (; magnitude > 0; --magnitude) {
    const auto m = static_cast<std::size_t>(magnitude);
    std::int32_t bits = 0;
    if (m > 1) {
      bits = bit_cost(context.is_more[m - 2], true) - bit_cost(context.is_more[m - 2], false);
    } else {
      bits = bit_cost(context.is_zero, false) - bit_cost(context.is_zero, true);
      if constexpr (kHasSign) bits += bit_cost(context.is_negative, place < 0);
    }
    bits += bit_cost(context.is_more[m - 1], false);
    const std::int32_t here = place_of_magnitude_[m], below = place_of_magnitude_[m - 1];
    const std::int32_t error = (2 * value - here - below) * (here - below);
    if (error >= bit_weight_ * bits) break;
  }
  return place < 0 ? -magnitude : magnitude;
}

template <bool kHasSign>
inline int LevelCoder::decode_level(RangeDecoder& decoder, Context& context) {
  if (decoder.decode(context.is_zero)) return 0;
  bool is_negative = false;
  if constexpr (kHasSign) is_negative = decoder.decode(context.is_negative);
  int magnitude = 1;
  while (magnitude < kFirstEscape &&
         decoder.decode(context.is_more[static_cast<std::size_t>(magnitude - 1)])) {
    ++magnitude;
  }
  if (magnitude == kFirstEscape) magnitude += static_cast<int>(decode_escape(decoder)) - 1;
  return is_negative ? -std::min(magnitude, kMostLevel) : std::min(magnitude, kMostLevel);
}

// Coder and places are copies whose addresses nobody has, so that they live in registers: what is
// written through a pointer to bytes could otherwise be a part of them.
template <bool kHasSign>
void LevelCoder::encode_levels(RangeEncoder& encoder) {
  RangeEncoder local = encoder;
  const std::int8_t* level = rows_[at_hand_].data() + channels_;
  const Places places = this->places();
  for (std::size_t position = 0; position < row_; position += channels_) {
    find_classes(position);
    for (std::size_t c = 0; c < places.channels; ++c) {
      Context& context = places.contexts[places.first[c] + std::size_t{places.classes[c]}];
      encode_level<kHasSign>(local, context, *level++);
    }
  }
  encoder = local;
}

template <bool kHasSign>
void LevelCoder::choose_levels(std::span<const std::int16_t> row, RangeEncoder& encoder) {
  RangeEncoder local = encoder;
  const std::int16_t* place = row.data();
  std::int8_t* level = rows_[at_hand_].data() + channels_;
  const Places places = this->places();
  for (std::size_t position = 0; position < row_; position += channels_) {
    find_classes(position);
    for (std::size_t c = 0; c < places.channels; ++c, ++place) {
      Context& context = places.contexts[places.first[c] + std::size_t{places.classes[c]}];
      const int chosen = choose_level<kHasSign>(context, *place);
      *level++ = static_cast<std::int8_t>(chosen);
      encode_level<kHasSign>(local, context, chosen);
    }
  }
  encoder = local;
}

template <bool kHasSign>
void LevelCoder::decode_levels(RangeDecoder& decoder) {
  RangeDecoder local = decoder;
  std::int8_t* level = rows_[at_hand_].data() + channels_;
  const Places places = this->places();
  for (std::size_t position = 0; position < row_; position += channels_) {
    find_classes(position);
    for (std::size_t c = 0; c < places.channels; ++c) {
      Context& context = places.contexts[places.first[c] + std::size_t{places.classes[c]}];
      *level++ = static_cast<std::int8_t>(decode_level<kHasSign>(local, context));
    }
  }
  decoder = local;
}

void LevelCoder::encode_row(RangeEncoder& encoder) {
  has_sign_ ? encode_levels<true>(encoder) : encode_levels<false>(encoder);
}

void LevelCoder::choose_and_encode_row(std::span<const std::int16_t> places,
                                       RangeEncoder& encoder) {
  has_sign_ ? choose_levels<true>(places, encoder) : choose_levels<false>(places, encoder);
}

void LevelCoder::decode_row(RangeDecoder& decoder) {
  has_sign_ ? decode_levels<true>(decoder) : decode_levels<false>(decoder);
}

std::uint32_t LevelCoder::row_sum() const {
  const auto row = std::span(rows_[at_hand_]).subspan(channels_, row_);
  std::uint32_t sum = 0;
  std::uint32_t weight = 1;
  for (const std::int8_t level : row) {
    sum += weight * static_cast<std::uint32_t>(std::int32_t{level});
    weight += 2;
  }
  return sum;
}

}  // namespace cleave::codec
