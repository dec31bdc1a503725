// SPDX-License-Identifier: Apache-2.0
//
// A binary range coder whose probabilities follow what was coded. Integers alone decide every bit.
//
// The interval [low, low + range) of 32-bit numbers is split by each bit in the ratio of its
// probability; bytes leave at the top when range falls below 2^24. A carry runs back into bytes
// that were written. At the end one byte names a number of the interval; behind the stream
// everything is zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave::codec {

// The probability that the next bit of a kind is 1, in 2^-16: the mean of one that follows quickly
// and one that follows slowly. Each stays within 1..65535.
struct BitModel {
  static constexpr int kQuick = 4;
  static constexpr int kSlow = 7;

  std::uint16_t quick = 0x8000;
  std::uint16_t slow = 0x8000;

  [[nodiscard]] std::uint32_t probability() const { return (std::uint32_t{quick} + slow) >> 1; }

  void follow(bool bit) {
    // Towards 65535 or 0, without a branch.
    const std::uint32_t flip = bit ? 0xFFFFU : 0U;
    const std::uint32_t to_quick = quick ^ flip;
    const std::uint32_t to_slow = slow ^ flip;
    quick = static_cast<std::uint16_t>((to_quick - (to_quick >> kQuick)) ^ flip);
    slow = static_cast<std::uint16_t>((to_slow - (to_slow >> kSlow)) ^ flip);
  }
};

inline constexpr std::uint32_t kLeastRange = 1U << 24;

// Writes into a span, and stops at its end.
class RangeEncoder {
 public:
  explicit RangeEncoder(std::span<std::byte> out)
      : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  void encode(BitModel& model, bool bit) {
    split((range_ >> 16) * model.probability(), bit);
    model.follow(bit);
  }

  // Of a bit that nothing is known of.
  void encode_even(bool bit) { split(range_ >> 1, bit); }

  // Whether there was no room for what was written so far.
  [[nodiscard]] bool is_full() const { return full_; }

  // Gives the bytes written, or 0 when there was no room for them.
  [[nodiscard]] std::size_t finish() {
    const std::uint32_t named = low_ + (kLeastRange - 1);
    if (named < low_) carry();
    put(static_cast<std::byte>(named >> 24));
    return full_ ? 0 : static_cast<std::size_t>(at_ - begin_);
  }

 private:
  void split(std::uint32_t bound, bool bit) {
    if (bit) {
      range_ = bound;
    } else {
      low_ += bound;
      range_ -= bound;
      if (low_ < bound) carry();
    }
    while (range_ < kLeastRange) {
      put(static_cast<std::byte>(low_ >> 24));
      low_ <<= 8;
      range_ <<= 8;
    }
  }

  // The stream as a number is less than 1, so a byte before the run of FF exists, unless bytes were
  // left out for want of room.
  void carry() {
    std::byte* byte = at_;
    while (byte != begin_) {
      --byte;
      *byte = static_cast<std::byte>(std::to_integer<unsigned>(*byte) + 1);
      if (*byte != std::byte{0}) return;
    }
  }

  void put(std::byte byte) {
    if (at_ == end_) {
      full_ = true;
      return;
    }
    *at_++ = byte;
  }

  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;
  std::uint32_t low_ = 0;
  std::uint32_t range_ = 0xFFFFFFFF;
  bool full_ = false;
};

// Reads a span, and zeros behind it.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const std::byte> bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | next();
  }

  [[nodiscard]] bool decode(BitModel& model) {
    const bool bit = split((range_ >> 16) * model.probability());
    model.follow(bit);
    return bit;
  }

  [[nodiscard]] bool decode_even() { return split(range_ >> 1); }

  // Whether more was read than any end of an encoder leaves unwritten.
  [[nodiscard]] bool is_past_end() const { return beyond_ > 3; }

  // Whether the encoder would have ended here, with this last byte.
  [[nodiscard]] bool at_end() const { return at_ == end_ && beyond_ == 3 && code_ < kLeastRange; }

 private:
  bool split(std::uint32_t bound) {
    // code_ counts from low_. Whatever the bytes are, range_ stays within 2^24..2^32 - 1.
    const bool bit = code_ < bound;
    if (bit) {
      range_ = bound;
    } else {
      code_ -= bound;
      range_ -= bound;
    }
    while (range_ < kLeastRange) {
      code_ = code_ << 8 | next();
      range_ <<= 8;
    }
    return bit;
  }

  std::uint32_t next() {
    if (at_ == end_) {
      ++beyond_;
      return 0;
    }
    return std::to_integer<std::uint32_t>(*at_++);
  }

  const std::byte* at_;
  const std::byte* end_;
  std::uint32_t code_ = 0;
  std::uint32_t range_ = 0xFFFFFFFF;
  std::uint64_t beyond_ = 0;
};

}  // namespace cleave::codec
