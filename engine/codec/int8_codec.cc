// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/codec/codec_factories.h"
#include "engine/codec/int8_rows.h"
#include "schemas/little_endian.h"

namespace cleave::codec {
namespace {

constexpr std::size_t kRangeBytes = 3;
// From so many values on a channel has a range of its own: it costs less than a tenth then.
constexpr std::size_t kPositionsForChannels = 32;
// Rows of the loops are at least so long: of few channels several positions at once.
constexpr std::size_t kLeastRow = 64;

std::size_t range_count(const BoundaryTensor& tensor) {
  return tensor.positions >= kPositionsForChannels ? tensor.channels : 1;
}

std::size_t row_elements(const BoundaryTensor& tensor) {
  const std::size_t positions = (kLeastRow + tensor.channels - 1) / tensor.channels;
  return tensor.channels * std::min(tensor.positions, positions);
}

std::size_t int8_bytes(const BoundaryTensor& tensor) {
  if (!tensor.is_f32()) return tensor.bytes();
  return kRangeBytes * range_count(tensor) + tensor.elements();
}

class Int8Codec final : public BoundaryCodec {
 public:
  explicit Int8Codec(const Boundary& boundary) : boundary_(boundary) {
    std::size_t row = 0, ranges = 0;
    for (const BoundaryTensor& tensor : boundary_) {
      bytes_ += int8_bytes(tensor);
      row = std::max(row, row_elements(tensor));
      ranges = std::max(ranges, range_count(tensor));
    }
    low_.resize(row);
    high_.resize(row);
    zero_.resize(row);
    step_.resize(row);
    per_step_.resize(row);
    ranges_.resize(ranges);
  }

  [[nodiscard]] std::size_t max_encoded_bytes() const override { return bytes_; }
  [[nodiscard]] std::size_t held_bytes() const override {
    return low_.size() * 5 * sizeof(float) + ranges_.size() * sizeof(Int8Range);
  }

  [[nodiscard]] std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                   std::span<std::byte> out) override {
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      const std::size_t count = int8_bytes(boundary_[i]);
      if (boundary_[i].is_f32()) {
        encode_tensor(boundary_[i], tensors[i], out.first(count));
      } else {
        std::ranges::copy(tensors[i], out.begin());
      }
      out = out.subspan(count);
    }
    return bytes_;
  }

  [[nodiscard]] Status decode(std::span<const std::byte> bytes,
                              std::span<const std::span<std::byte>> tensors) override {
    if (bytes.size() != bytes_) return {StatusCode::kCorrupt, "not as long as int8 tensors"};
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      const std::size_t count = int8_bytes(boundary_[i]);
      if (boundary_[i].is_f32()) {
        CLEAVE_RETURN_IF_ERROR(decode_tensor(boundary_[i], bytes.first(count), tensors[i]));
      } else {
        std::ranges::copy(bytes.first(count), tensors[i].begin());
      }
      bytes = bytes.subspan(count);
    }
    return Status::ok();
  }

 private:
  void find_ranges(const BoundaryTensor& tensor, std::span<const std::byte> values);
  void spread_ranges(const BoundaryTensor& tensor);
  void encode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> values,
                     std::span<std::byte> out);
  Status decode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> bytes,
                       std::span<std::byte> values);

  Boundary boundary_;
  std::size_t bytes_ = 0;
  std::vector<Int8Range> ranges_;  // of the tensor at hand
  // Of each place in a row.
  std::vector<std::int32_t> low_, high_, zero_;
  std::vector<float> step_, per_step_;
};

// Into ranges_.
void Int8Codec::find_ranges(const BoundaryTensor& tensor, std::span<const std::byte> values) {
  const std::size_t row = row_elements(tensor);
  std::fill_n(low_.begin(), row, 0);
  std::fill_n(high_.begin(), row, 0);
  for (std::size_t at = 0; at < values.size(); at += 4 * row) {
    widen_ranges(values.subspan(at, std::min(4 * row, values.size() - at)), low_, high_);
  }
  // A row is of several positions, and a tensor's one range of all its channels.
  const std::size_t count = range_count(tensor);
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t low = low_[i], high = high_[i];
    for (std::size_t at = i + count; at < row; at += count) {
      low = std::min(low, low_[at]);
      high = std::max(high, high_[at]);
    }
    ranges_[i] = int8_range(low, high);
  }
}

// From ranges_ to every place in a row.
void Int8Codec::spread_ranges(const BoundaryTensor& tensor) {
  const std::size_t count = range_count(tensor);
  for (std::size_t i = 0; i < count; ++i) {
    step_[i] = step_of(ranges_[i]);
    per_step_[i] = 1.0F / step_[i];
    zero_[i] = ranges_[i].zero;
  }
  // What is done is copied behind itself, in ever longer pieces: of a tensor of a hundred values a
  // division for each place took longer than all the rest.
  const std::size_t row = row_elements(tensor);
  for (std::size_t done = count; done < row; done *= 2) {
    const std::size_t some = std::min(done, row - done);
    std::copy_n(step_.begin(), some, step_.begin() + static_cast<std::ptrdiff_t>(done));
    std::copy_n(per_step_.begin(), some, per_step_.begin() + static_cast<std::ptrdiff_t>(done));
    std::copy_n(zero_.begin(), some, zero_.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

void Int8Codec::encode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> values,
                              std::span<std::byte> out) {
  find_ranges(tensor, values);
  spread_ranges(tensor);
  const std::size_t count = range_count(tensor);
  for (std::size_t i = 0; i < count; ++i) {
    store_little_endian(out, 2 * i, ranges_[i].step);
    out[2 * count + i] = std::byte{ranges_[i].zero};
  }
  const std::span<std::byte> levels = out.subspan(kRangeBytes * count);
  const std::size_t row = row_elements(tensor);
  for (std::size_t at = 0; at < levels.size(); at += row) {
    const std::size_t some = std::min(row, levels.size() - at);
    quantize_row(values.subspan(4 * at, 4 * some), per_step_, zero_, levels.subspan(at, some));
  }
}

Status Int8Codec::decode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> bytes,
                                std::span<std::byte> values) {
  const std::size_t count = range_count(tensor);
  for (std::size_t i = 0; i < count; ++i) {
    ranges_[i].step = load_little_endian<std::uint16_t>(bytes, 2 * i);
    ranges_[i].zero = std::to_integer<std::uint8_t>(bytes[2 * count + i]);
    if (ranges_[i].step < kLeastInt8Step || ranges_[i].step > kMostInt8Step) {
      return {StatusCode::kCorrupt, "an int8 step beyond what an encoder writes"};
    }
  }
  spread_ranges(tensor);
  const std::span<const std::byte> levels = bytes.subspan(kRangeBytes * count);
  const std::size_t row = row_elements(tensor);
  for (std::size_t at = 0; at < levels.size(); at += row) {
    const std::size_t some = std::min(row, levels.size() - at);
    dequantize_row(levels.subspan(at, some), step_, zero_, values.subspan(4 * at, 4 * some));
  }
  return Status::ok();
}

}  // namespace

Created make_int8_codec(const Boundary& boundary) {
  if (std::ranges::none_of(boundary, &BoundaryTensor::is_f32)) {
    return Status(StatusCode::kUnsupported, "no f32 tensor crosses this cut");
  }
  return std::unique_ptr<BoundaryCodec>(std::make_unique<Int8Codec>(boundary));
}

}  // namespace cleave::codec
