// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_table.h"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "schemas/little_endian.h"

namespace cleave::codec {
namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::uint8_t kVersionWithoutWeights = 2;  // 1 knew no transforms

// Bits of a tensor's form beside the number of classes.
constexpr std::uint8_t kSigned = 0x80;
constexpr std::uint8_t kTransformed = 0x40;
constexpr std::uint8_t kClasses = 0x3F;

// Takes bytes from the front of a span; once there are too few, `good` is false and all are zero.
struct Reader {
  std::span<const std::byte> bytes;
  bool good = true;

  std::span<const std::byte> take(std::size_t count) {
    good = good && count <= bytes.size();
    if (!good) return {};
    const auto taken = bytes.first(count);
    bytes = bytes.subspan(count);
    return taken;
  }

  template <std::unsigned_integral T>
  T number() {
    const auto taken = take(sizeof(T));
    return taken.empty() ? T{0} : load_little_endian<T>(taken, 0);
  }
};

std::vector<std::uint8_t> numbers(std::span<const std::byte> bytes) {
  std::vector<std::uint8_t> result(bytes.size());
  std::ranges::transform(bytes, result.begin(), std::to_integer<std::uint8_t>);
  return result;
}

CodedFigures read_figures(Reader& reader) {
  CodedFigures figures;
  figures.compared_pictures = reader.number<std::uint32_t>();
  figures.differing_pictures = reader.number<std::uint32_t>();
  figures.median_bytes = reader.number<std::uint32_t>();
  figures.p95_bytes = reader.number<std::uint32_t>();
  return figures;
}

Status check_tensor(const CodedTensorTable& table) {
  if (table.step < kLeastCodedStep || table.step > kMostCodedStep) {
    return corrupt("a step beyond what calibration writes");
  }
  if (table.rounding > 128) return corrupt("a rounding over one half");
  if (table.channel_classes < 1 || table.channel_classes > kMaxChannelClasses) {
    return corrupt("not 1 to 32 classes of channels");
  }
  return Status::ok();
}

template <std::integral T>
std::vector<T> wide_numbers(std::span<const std::byte> bytes) {
  std::vector<T> result(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<T>(load_little_endian<std::make_unsigned_t<T>>(bytes, i * sizeof(T)));
  }
  return result;
}

// That no sum of products leaves 32 bits.
Status check_directions(std::span<const std::int16_t> directions, std::size_t channels) {
  std::vector<std::int32_t> along_channel(channels), along_direction(channels);
  for (std::size_t i = 0; i < directions.size(); ++i) {
    const std::int32_t magnitude = std::abs(std::int32_t{directions[i]});
    along_direction[i / channels] += magnitude;
    along_channel[i % channels] += magnitude;
  }
  const auto too_large = [](std::int32_t sum) { return sum >= kMostDirectionSum; };
  if (std::ranges::any_of(along_channel, too_large) ||
      std::ranges::any_of(along_direction, too_large)) {
    return corrupt("directions that are too large");
  }
  return Status::ok();
}

Result<CodedTransformTable> read_transform(Reader& reader, const BoundaryTensor& tensor) {
  CodedTransformTable table;
  table.side = reader.number<std::uint8_t>();
  if (!reader.good) return corrupt("cut short");
  const std::size_t side = table.side;
  if (std::ranges::find(kTransformSides, table.side) == std::end(kTransformSides)) {
    return corrupt("a transform of blocks that are not known");
  }
  if (!tensor.is_f32() || tensor.channels > kMaxTransformChannels || tensor.width % side != 0 ||
      tensor.positions / tensor.width % side != 0) {
    return corrupt("a transform that does not apply to its tensor");
  }
  table.means = wide_numbers<std::int16_t>(reader.take(2 * tensor.channels));
  table.directions = wide_numbers<std::int16_t>(reader.take(2 * tensor.channels * tensor.channels));
  table.steps = wide_numbers<std::uint16_t>(reader.take(2 * tensor.channels * side * side));
  if (!reader.good) return corrupt("cut short");
  if (std::ranges::find(table.steps, 0) != table.steps.end()) {
    return corrupt("a step of a transform that is 0");
  }
  CLEAVE_RETURN_IF_ERROR(check_directions(table.directions, tensor.channels));
  return table;
}

Result<CodedTensorTable> read_tensor(Reader& reader, const BoundaryTensor& tensor,
                                     std::uint8_t version) {
  CodedTensorTable table;
  table.step = reader.number<std::uint16_t>();
  table.rounding = reader.number<std::uint8_t>();
  if (version != kVersionWithoutWeights) table.bit_weight = reader.number<std::uint8_t>();
  const auto form = reader.number<std::uint8_t>();
  table.has_sign = (form & kSigned) != 0;
  table.channel_classes = form & kClasses;
  const auto centroids = reader.take(kCentroids);
  if (!reader.good) return corrupt("cut short");
  std::ranges::transform(centroids, table.centroids.begin(), std::to_integer<std::uint8_t>);
  CLEAVE_RETURN_IF_ERROR(check_tensor(table));
  if ((form & kTransformed) != 0) {
    if (!table.has_sign) return corrupt("a transform without sign");
    CLEAVE_ASSIGN_OR_RETURN(table.transform, read_transform(reader, tensor));
  }
  table.channel_class = numbers(reader.take(tensor.channels * table.side() * table.side()));
  table.probabilities = numbers(reader.take(table.channel_classes * kProbabilitiesPerClass));
  if (!reader.good) return corrupt("cut short");
  if (std::ranges::any_of(table.channel_class,
                          [&](std::uint8_t c) { return c >= table.channel_classes; })) {
    return corrupt("a class of channels that there is not");
  }
  return table;
}

void append(std::vector<std::uint8_t>& bytes, std::span<const std::uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

template <std::unsigned_integral T>
void append_number(std::vector<std::uint8_t>& bytes, T number) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
  }
}

template <std::integral T>
void append_numbers(std::vector<std::uint8_t>& bytes, std::span<const T> more) {
  for (const T number : more) {
    append_number(bytes, static_cast<std::make_unsigned_t<T>>(number));
  }
}

void append_tensor(std::vector<std::uint8_t>& bytes, const CodedTensorTable& table) {
  append_number(bytes, table.step);
  bytes.push_back(table.rounding);
  bytes.push_back(table.bit_weight);
  bytes.push_back(static_cast<std::uint8_t>(table.channel_classes | (table.has_sign ? kSigned : 0) |
                                            (table.transform ? kTransformed : 0)));
  append(bytes, table.centroids);
  if (table.transform) {
    bytes.push_back(table.transform->side);
    append_numbers<std::int16_t>(bytes, table.transform->means);
    append_numbers<std::int16_t>(bytes, table.transform->directions);
    append_numbers<std::uint16_t>(bytes, table.transform->steps);
  }
  append(bytes, table.channel_class);
  append(bytes, table.probabilities);
}

}  // namespace

Result<std::vector<CodedQuality>> read_coded_table(std::span<const std::uint8_t> data,
                                                   const Boundary& boundary) {
  Reader reader{std::as_bytes(data)};
  const auto version = reader.number<std::uint8_t>();
  const auto count = reader.number<std::uint8_t>();
  if (!reader.good || version < kVersionWithoutWeights || version > kVersion) {
    return corrupt("not a coded table of version 2 or 3");
  }
  if (count < 1 || count > kMaxQualities) return corrupt("not 1 to 8 levels of quality");
  std::vector<CodedQuality> qualities(count);
  for (CodedQuality& quality : qualities) {
    quality.figures = read_figures(reader);
    if (quality.figures.differing_pictures > quality.figures.compared_pictures) {
      return corrupt("more pictures differ than were compared");
    }
    for (const BoundaryTensor& tensor : boundary) {
      CLEAVE_ASSIGN_OR_RETURN(CodedTensorTable table, read_tensor(reader, tensor, version));
      quality.tensors.push_back(std::move(table));
    }
  }
  if (!reader.bytes.empty()) return corrupt("bytes behind the last level of quality");
  return qualities;
}

std::vector<std::uint8_t> write_coded_table(std::span<const CodedQuality> qualities) {
  std::vector<std::uint8_t> bytes{kVersion, static_cast<std::uint8_t>(qualities.size())};
  for (const CodedQuality& quality : qualities) {
    append_number(bytes, quality.figures.compared_pictures);
    append_number(bytes, quality.figures.differing_pictures);
    append_number(bytes, quality.figures.median_bytes);
    append_number(bytes, quality.figures.p95_bytes);
    for (const CodedTensorTable& table : quality.tensors) append_tensor(bytes, table);
  }
  return bytes;
}

}  // namespace cleave::codec
