// SPDX-License-Identifier: Apache-2.0
//
// Bytes in several places that are sent as one, and how far that is.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <span>
#include <vector>

namespace cleave::agent {

// The bytes belong to the caller and must outlive it.
class Gather {
 public:
  // The system takes no more pieces at once in any case (UIO_FASTIOV).
  static constexpr std::size_t kMostPieces = 8;
  using Pieces = std::array<boost::asio::const_buffer, kMostPieces>;

  void add(std::span<const std::byte> bytes) {
    if (!bytes.empty()) parts_.push_back(bytes);
    left_ += bytes.size();
  }

  [[nodiscard]] std::size_t bytes_left() const { return left_; }

  // What comes next, at most `limit` bytes of it, into `pieces`; gives the pieces used.
  std::size_t next(std::size_t limit, Pieces& pieces) const {
    std::size_t count = 0;
    for (std::size_t i = part_; i < parts_.size() && count < kMostPieces && limit > 0; ++i) {
      const auto rest = parts_[i].subspan(i == part_ ? offset_ : 0);
      const std::size_t size = std::min(limit, rest.size());
      pieces[count++] = boost::asio::const_buffer(rest.data(), size);
      limit -= size;
    }
    return count;
  }

  // So many of them are sent. REQUIRES: bytes <= bytes_left().
  void advance(std::size_t bytes) {
    left_ -= bytes;
    while (part_ < parts_.size() && bytes >= parts_[part_].size() - offset_) {
      bytes -= parts_[part_++].size() - offset_;
      offset_ = 0;
    }
    offset_ += bytes;
  }

 private:
  std::vector<std::span<const std::byte>> parts_;
  std::size_t part_ = 0;    // the next byte is in this one,
  std::size_t offset_ = 0;  // here
  std::size_t left_ = 0;
};

}  // namespace cleave::agent
