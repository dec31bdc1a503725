// SPDX-License-Identifier: Apache-2.0
//
// Some bytes of an attachment, evenly spread, mixed into 64 bits: tells two pictures under one
// request id apart, at a cost that does not grow with them. Not a check against transmission errors
// or malice: whoever tricks it tricks himself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave::server {

class AttachmentSample {
 public:
  // Of an attachment of so many bytes.
  explicit AttachmentSample(std::uint64_t bytes)
      // Odd: else each would be the same byte of its float.
      : stride_(std::max<std::uint64_t>(bytes / kSamples, 1) | 1) {}

  // The next bytes of it, in order.
  void add(std::span<const std::byte> bytes) {
    for (; next_ < offset_ + bytes.size(); next_ += stride_) {
      value_ ^= std::to_integer<std::uint64_t>(bytes[static_cast<std::size_t>(next_ - offset_)]);
      value_ *= 0x0000'0100'0000'01b3;  // FNV-1a
    }
    offset_ += bytes.size();
  }

  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  static constexpr std::uint64_t kSamples = 1024;

  std::uint64_t stride_;
  std::uint64_t offset_ = 0;  // of what is added next
  std::uint64_t next_ = 0;    // offset of the next sample
  std::uint64_t value_ = 0xcbf2'9ce4'8422'2325;
};

}  // namespace cleave::server
