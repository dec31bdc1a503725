// SPDX-License-Identifier: Apache-2.0
//
// Cuts with tensors of odd shapes, values to cross them, and one call that encodes or decodes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "schemas/atomic_file.h"
#include "tests/engine/engine_harness.h"

namespace cleave::test {

using Bytes = std::vector<std::byte>;

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Tensors that cross a cut, each its bytes.
struct Crossing {
  std::vector<Bytes> tensors;

  [[nodiscard]] std::vector<std::span<const std::byte>> read() const {
    return {tensors.begin(), tensors.end()};
  }
  [[nodiscard]] std::vector<std::span<std::byte>> write() {
    return {tensors.begin(), tensors.end()};
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Bytes& tensor : tensors) sum += tensor.size();
    return sum;
  }
  friend bool operator==(const Crossing&, const Crossing&) = default;
};

// A table of codec Coded for what crosses a cut, at a step of `step` (its upper half), 64 times
// that for int8: probabilities around one half that differ everywhere, classes of channels in turn.
inline codec::CodedQuality sample_quality(const codec::Boundary& boundary, std::uint16_t step) {
  codec::CodedQuality quality;
  quality.figures = {100, 3, 500, 700};
  for (const codec::BoundaryTensor& tensor : boundary) {
    const int steps = step + (tensor.is_f32() ? 0 : 6 << 7);
    codec::CodedTensorTable table{.step = static_cast<std::uint16_t>(steps),
                                  .rounding = 85,
                                  .has_sign = !tensor.is_f32(),
                                  .centroids = {80, 85, 90, 95, 100, 105, 110},
                                  .channel_class = {},
                                  .channel_classes = 3,
                                  .probabilities = {}};
    for (std::size_t c = 0; c < tensor.channels; ++c) {
      table.channel_class.push_back(static_cast<std::uint8_t>(c % 3));
    }
    for (std::size_t i = 0; i < 3 * codec::kProbabilitiesPerClass; ++i) {
      table.probabilities.push_back(static_cast<std::uint8_t>(96 + i * 37 % 64));
    }
    quality.tensors.push_back(std::move(table));
  }
  return quality;
}

// A table of that kind for one f32 tensor that is turned in blocks of `side`: orthonormal
// directions (a reflection), steps that differ.
inline codec::CodedQuality turned_quality(const codec::BoundaryTensor& tensor, std::uint8_t side) {
  codec::CodedQuality quality = sample_quality({tensor}, 0x3C00);  // units of 1/128
  codec::CodedTensorTable& table = quality.tensors[0];
  table.has_sign = true;
  table.channel_class.assign(tensor.channels * side * side, 1);
  codec::CodedTransformTable& transform = table.transform.emplace();
  transform.side = side;
  const auto channels = static_cast<int>(tensor.channels);
  for (int k = 0; k < channels; ++k) {
    transform.means.push_back(static_cast<std::int16_t>(7 * k - 20));
    for (int c = 0; c < channels; ++c) {
      const int fraction = (k == c ? 16384 : 0) - 2 * 16384 / channels;
      transform.directions.push_back(static_cast<std::int16_t>(fraction));
    }
  }
  for (std::size_t i = 0; i < table.channel_class.size(); ++i) {
    transform.steps.push_back(static_cast<std::uint16_t>(side * (240 + i % 7)));
  }
  return quality;
}

// To which transforms of all sides apply.
inline constexpr codec::BoundaryTensor kSampleTensor{
    .dtype = fbs::DType::F32, .positions = 8 * 12, .width = 12, .channels = 5};

// Of tensors like that one.
[[nodiscard]] inline std::unique_ptr<BoundaryCodec> codec_for(
    const codec::CodedQuality& quality, const codec::BoundaryTensor& tensor = kSampleTensor) {
  auto made = codec::make_coded_codec({tensor}, quality);
  require_ok(made.status());
  return std::move(made).value();
}

constexpr std::uint16_t kFineStep = 0x3E00;    // 0.125
constexpr std::uint16_t kCoarseStep = 0x3F40;  // 0.75

// With a table of two levels, fine and coarse, for each cut inside of the network.
inline std::shared_ptr<const ModelFile> open_calibrated(ModelBuilder& builder) {
  const auto plain = open_model(builder);
  for (OpIndex cut = 1; cut < op_count(*plain); ++cut) {
    const codec::Boundary boundary = codec::boundary_at(plain->header(), 0, cut);
    const codec::CodedQuality qualities[] = {sample_quality(boundary, kFineStep),
                                             sample_quality(boundary, kCoarseStep)};
    auto table = std::make_unique<fbs::CodecTableT>();
    table->variant = first_variant(*plain).name()->str();
    table->cut = cut;
    table->codec = static_cast<std::uint8_t>(fbs::Codec::Coded);
    table->data = codec::write_coded_table(qualities);
    builder.draft().codec_tables.push_back(std::move(table));
  }
  return open_model(builder);
}

// Calibrated. Cuts: 1 = 7x5x11 f32; 2 = that and 7x5x11 int8; 3 = the int8 and 7x5x11 f32; 5 =
// 7x5x11 f32; 6 = 1x1x6 f32.
inline std::shared_ptr<const ModelFile> codec_model() {
  ModelBuilder builder({7, 5, 3});
  const Tensor a = builder.conv2d(builder.input(), 11, WindowSpec{});
  const Tensor q = builder.to_int8(a, 0.02F, 3);
  const Tensor b = builder.sigmoid(a);
  const Tensor c = builder.add(b, builder.to_f32(q));
  builder.softmax(builder.fully_connected(c, 6));
  return open_calibrated(builder);
}

// Calibrated. Cut 1: 150x150x3, more than one piece of the lossless form.
inline std::shared_ptr<const ModelFile> large_model() {
  ModelBuilder builder({150, 150, 3});
  builder.global_average_pool(builder.conv2d(builder.input(), 3, WindowSpec{}));
  return open_calibrated(builder);
}

[[nodiscard]] inline Bytes bytes_of(const Values& values) {
  Bytes bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

[[nodiscard]] inline Values floats_of(const Bytes& bytes) {
  Values values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Of zeros, as wide as what crosses the cut.
[[nodiscard]] inline Crossing empty_crossing(const ModelFile& model, OpIndex cut) {
  Crossing crossing;
  const std::vector<Cut> cuts = find_cuts(model.header(), 0);
  for (const TensorId id : cuts[cut].boundary_tensors) {
    crossing.tensors.emplace_back(tensor_bytes(*first_variant(model).tensors()->Get(id)));
  }
  return crossing;
}

// Seeded values between -2 and 2, with the negative ones cut off as ReLU does; int8 tensors get the
// same scaled up.
[[nodiscard]] inline Crossing seeded_crossing(const ModelFile& model, OpIndex cut,
                                              std::uint64_t seed) {
  Crossing crossing = empty_crossing(model, cut);
  const std::vector<Cut> cuts = find_cuts(model.header(), 0);
  for (std::size_t t = 0; t < crossing.tensors.size(); ++t) {
    Bytes& tensor = crossing.tensors[t];
    const TensorId id = cuts[cut].boundary_tensors[t];
    const bool is_f32 = first_variant(model).tensors()->Get(id)->dtype() == fbs::DType::F32;
    Values values = random_values(is_f32 ? tensor.size() / 4 : tensor.size(), seed + t);
    for (float& value : values) value = value < 0 ? 0 : value;
    if (is_f32) {
      tensor = bytes_of(values);
      continue;
    }
    for (std::size_t i = 0; i < tensor.size(); ++i) {
      tensor[i] = static_cast<std::byte>(static_cast<std::int8_t>(values[i] * 50));
    }
  }
  return crossing;
}

[[nodiscard]] inline std::unique_ptr<BoundaryCodec> make_codec(const ModelFile& model, OpIndex cut,
                                                               fbs::Codec codec,
                                                               std::uint8_t quality = 0) {
  auto made = BoundaryCodec::create(model, 0, cut, {.codec = codec, .quality = quality});
  require_ok(made.status());
  return std::move(made).value();
}

[[nodiscard]] inline Bytes encoded(BoundaryCodec& codec, const Crossing& crossing) {
  Bytes out(codec.max_encoded_bytes());
  const std::vector<std::span<const std::byte>> tensors = crossing.read();
  out.resize(codec.encode(tensors, out));
  return out;
}

[[nodiscard]] inline Status decode(BoundaryCodec& codec, std::span<const std::byte> bytes,
                                   Crossing& crossing) {
  const std::vector<std::span<std::byte>> tensors = crossing.write();
  return codec.decode(bytes, tensors);
}

// In how many of all streams that differ from `stream` in one bit decode() sees nothing wrong.
[[nodiscard]] inline std::size_t unnoticed_flips(BoundaryCodec& codec, const Bytes& stream,
                                                 Crossing& arrived) {
  std::size_t unnoticed = 0;
  for (std::size_t bit = 0; bit < 8 * stream.size(); ++bit) {
    Bytes spoilt = stream;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    unnoticed += decode(codec, spoilt, arrived).is_ok() ? 1 : 0;
  }
  return unnoticed;
}

// There and back.
[[nodiscard]] inline Crossing carried(BoundaryCodec& codec, const Crossing& crossing) {
  Crossing arrived = crossing;
  for (Bytes& tensor : arrived.tensors) tensor.assign(tensor.size(), std::byte{0xA5});
  require_ok(decode(codec, encoded(codec, crossing), arrived));
  return arrived;
}

// That a stream and the tensor that it carries are those of the files. CLEAVE_ACCEPT_CODECS=1
// writes them anew, for a new version of the table.
inline void check_golden(const std::string& path, const Bytes& stream, const Bytes& arrived) {
  if (std::getenv("CLEAVE_ACCEPT_CODECS") != nullptr) {
    require_ok(write_file_atomically(path + ".stream", stream));
    require_ok(write_file_atomically(path + ".tensor", arrived));
  }
  const auto frozen = read_file(path + ".stream", 1 << 20);
  const auto expected = read_file(path + ".tensor", 1 << 20);
  require_ok(frozen.status());
  require_ok(expected.status());
  CHECK(stream == *frozen);
  CHECK(arrived == *expected);
}

}  // namespace cleave::test
