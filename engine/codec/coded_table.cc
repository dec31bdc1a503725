// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_table.h"

#include <algorithm>

#include "schemas/little_endian.h"

namespace cleave::codec {
namespace {

constexpr std::uint8_t kVersion = 1;

Status corrupt(const char* what) { return {StatusCode::kCorrupt, what}; }

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

Result<CodedTensorTable> read_tensor(Reader& reader, const BoundaryTensor& tensor) {
  CodedTensorTable table;
  table.step = reader.number<std::uint16_t>();
  table.rounding = reader.number<std::uint8_t>();
  const auto form = reader.number<std::uint8_t>();
  table.has_sign = (form & 0x80) != 0;
  table.channel_classes = form & 0x7F;
  const auto centroids = reader.take(kCentroids);
  if (!reader.good) return corrupt("cut short");
  std::ranges::transform(centroids, table.centroids.begin(), std::to_integer<std::uint8_t>);
  CLEAVE_RETURN_IF_ERROR(check_tensor(table));
  table.channel_class = numbers(reader.take(tensor.channels));
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

void append_tensor(std::vector<std::uint8_t>& bytes, const CodedTensorTable& table) {
  append_number(bytes, table.step);
  bytes.push_back(table.rounding);
  bytes.push_back(static_cast<std::uint8_t>(table.channel_classes | (table.has_sign ? 0x80 : 0)));
  append(bytes, table.centroids);
  append(bytes, table.channel_class);
  append(bytes, table.probabilities);
}

}  // namespace

Result<std::vector<CodedQuality>> read_coded_table(std::span<const std::uint8_t> data,
                                                   const Boundary& boundary) {
  Reader reader{std::as_bytes(data)};
  const auto version = reader.number<std::uint8_t>();
  const auto count = reader.number<std::uint8_t>();
  if (!reader.good || version != kVersion) return corrupt("not a coded table of version 1");
  if (count < 1 || count > kMaxQualities) return corrupt("not 1 to 8 levels of quality");
  std::vector<CodedQuality> qualities(count);
  for (CodedQuality& quality : qualities) {
    quality.figures = read_figures(reader);
    if (quality.figures.differing_pictures > quality.figures.compared_pictures) {
      return corrupt("more pictures differ than were compared");
    }
    for (const BoundaryTensor& tensor : boundary) {
      CLEAVE_ASSIGN_OR_RETURN(CodedTensorTable table, read_tensor(reader, tensor));
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
