// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "engine/codec/coded_values.h"
#include "engine/codec/level_coder.h"
#include "schemas/little_endian.h"

namespace cleave::codec {
namespace {

constexpr std::byte kStored{0};
constexpr std::byte kCoded{1};
constexpr std::size_t kHeadBytes = 3;  // the form, and a sum of the levels

Status spoilt(const char* what) { return {StatusCode::kCorrupt, what}; }

struct CodedTensor {
  CodedTensor(const BoundaryTensor& tensor, const CodedTensorTable& table)
      : values(tensor, table),
        coder(table, coded_shape(tensor, table).width, coded_shape(tensor, table).channels),
        places(table.bit_weight > 0 ? values.elements() / values.rows() : 0) {}

  void encode_row(std::span<const std::byte> from, std::size_t y, RangeEncoder& encoder) {
    const std::span<std::int8_t> levels = coder.next_row();
    if (places.empty()) {
      values.quantize_row(from, y, levels);
      coder.encode_row(encoder);
    } else {
      values.place_row(from, y, places);
      coder.choose_and_encode_row(places, encoder);
    }
  }

  CodedValues values;
  LevelCoder coder;
  std::vector<std::int16_t> places;  // of a row, where levels are chosen
};

class CodedCodec final : public BoundaryCodec {
 public:
  CodedCodec(const Boundary& boundary, const CodedQuality& quality) {
    tensors_.reserve(boundary.size());
    for (std::size_t i = 0; i < boundary.size(); ++i) {
      tensors_.emplace_back(boundary[i], quality.tensors[i]);
      elements_ += boundary[i].elements();
    }
  }

  [[nodiscard]] std::size_t max_encoded_bytes() const override { return elements_ + 1; }

  [[nodiscard]] std::size_t held_bytes() const override {
    std::size_t bytes = 0;
    for (const CodedTensor& tensor : tensors_) {
      bytes += sizeof(tensor) + tensor.values.held_bytes() + tensor.coder.held_bytes() +
               2 * tensor.places.size();
    }
    return bytes;
  }

  [[nodiscard]] std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                   std::span<std::byte> out) override {
    if (const std::size_t coded = encode_coded(tensors, out); coded > 0) return coded;
    out[0] = kStored;
    auto* levels = reinterpret_cast<std::int8_t*>(out.data() + 1);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      CodedValues& values = tensors_[i].values;
      values.quantize(tensors[i], {levels, values.elements()});
      levels += values.elements();
    }
    return elements_ + 1;
  }

  [[nodiscard]] Status decode(std::span<const std::byte> bytes,
                              std::span<const std::span<std::byte>> tensors) override {
    if (bytes.empty()) return spoilt("no coded stream");
    if (bytes[0] == kStored) return decode_stored(bytes.subspan(1), tensors);
    if (bytes[0] != kCoded) return spoilt("a form of coded that is not known");
    if (bytes.size() <= kHeadBytes) return spoilt("a coded stream that is cut short");
    if (bytes.size() > elements_) return spoilt("longer than the levels themselves");
    return decode_coded(bytes, tensors);
  }

 private:
  // 0 when the levels themselves are no longer.
  std::size_t encode_coded(std::span<const std::span<const std::byte>> tensors,
                           std::span<std::byte> out);
  Status decode_coded(std::span<const std::byte> bytes,
                      std::span<const std::span<std::byte>> tensors);
  Status decode_stored(std::span<const std::byte> bytes,
                       std::span<const std::span<std::byte>> tensors);

  std::size_t elements_ = 0;
  std::vector<CodedTensor> tensors_;
};

std::size_t CodedCodec::encode_coded(std::span<const std::span<const std::byte>> tensors,
                                     std::span<std::byte> out) {
  if (elements_ <= kHeadBytes) return 0;
  RangeEncoder encoder(out.subspan(kHeadBytes, elements_ - kHeadBytes));
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    CodedTensor& tensor = tensors_[i];
    tensor.coder.start();
    for (std::size_t y = 0; y < tensor.values.rows() && !encoder.is_full(); ++y) {
      tensor.encode_row(tensors[i], y, encoder);
      sum = 31 * sum + tensor.coder.row_sum();
    }
  }
  const std::size_t length = encoder.finish();
  if (length == 0) return 0;
  out[0] = kCoded;
  store_little_endian(out, 1, static_cast<std::uint16_t>(sum));
  return kHeadBytes + length;
}

Status CodedCodec::decode_coded(std::span<const std::byte> bytes,
                                std::span<const std::span<std::byte>> tensors) {
  RangeDecoder decoder(bytes.subspan(kHeadBytes));
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    auto& [values, coder, places] = tensors_[i];
    coder.start();
    for (std::size_t y = 0; y < values.rows(); ++y) {
      const std::span<const std::int8_t> levels = coder.next_row();
      coder.decode_row(decoder);
      sum = 31 * sum + coder.row_sum();
      values.restore_row(levels, y, tensors[i]);
      if (decoder.is_past_end()) return spoilt("a coded stream that is cut short");
    }
  }
  if (!decoder.at_end()) return spoilt("a coded stream that ends elsewhere");
  if (static_cast<std::uint16_t>(sum) != load_little_endian<std::uint16_t>(bytes, 1)) {
    return spoilt("levels that do not add up");
  }
  return Status::ok();
}

Status CodedCodec::decode_stored(std::span<const std::byte> bytes,
                                 std::span<const std::span<std::byte>> tensors) {
  if (bytes.size() != elements_) return spoilt("not as many levels as the tensors have");
  const auto* levels = reinterpret_cast<const std::int8_t*>(bytes.data());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    CodedValues& values = tensors_[i].values;
    values.restore({levels, values.elements()}, tensors[i]);
    levels += values.elements();
  }
  return Status::ok();
}

}  // namespace

Created make_coded_codec(const Boundary& boundary, const CodedQuality& quality) {
  return std::unique_ptr<BoundaryCodec>(std::make_unique<CodedCodec>(boundary, quality));
}

}  // namespace cleave::codec
