// SPDX-License-Identifier: Apache-2.0
#include "engine/image/picture.h"

#include <algorithm>
#include <memory>

#include "engine/image/jpeg_decoder.h"
#include "engine/image/resize.h"
#include "engine/image/row_source.h"

namespace cleave {
namespace {

constexpr std::size_t kRgb = 3;

struct CropRegion {
  std::uint32_t left;
  std::uint32_t top;
  PictureSize size;
};

CropRegion crop_region(const fbs::Preprocessing& preprocessing, PictureSize stored) {
  if (preprocessing.crop() == fbs::Crop::None) return {0, 0, stored};
  constexpr std::uint64_t kMillion = 1'000'000;
  const std::uint32_t shorter = std::min(stored.width, stored.height);
  const std::uint64_t share = std::min<std::uint64_t>(preprocessing.crop_ppm(), kMillion);
  const auto rounded = static_cast<std::uint32_t>((shorter * share + kMillion / 2) / kMillion);
  const std::uint32_t side = std::max(rounded, 1u);
  return {(stored.width - side) / 2, (stored.height - side) / 2, {side, side}};
}

std::uint32_t channels_of(const fbs::Preprocessing& preprocessing) {
  return preprocessing.color_order() == fbs::ColorOrder::Gray ? 1 : 3;
}

bool is_of_picture(const fbs::Preprocessing& preprocessing, const fbs::Shape& shape) {
  constexpr std::uint32_t kMaxSide = 1u << 20;  // what the resizer takes
  return shape.height() >= 1 && shape.height() <= kMaxSide && shape.width() >= 1 &&
         shape.width() <= kMaxSide && shape.channels() == channels_of(preprocessing);
}

Status check_target(const fbs::Preprocessing& preprocessing, const fbs::Shape& shape,
                    std::size_t pixels) {
  const std::uint32_t channels = channels_of(preprocessing);
  if (!is_of_picture(preprocessing, shape)) {
    return {StatusCode::kInvalidArgument,
            "the model's input is " + std::to_string(shape.height()) + " x " +
                std::to_string(shape.width()) + " x " + std::to_string(shape.channels()) +
                ", which is no picture of " + std::to_string(channels) + " channels"};
  }
  if (pixels == std::uint64_t{shape.height()} * shape.width() * channels) return Status::ok();
  return {StatusCode::kInvalidArgument, "pixels does not have the size of the model's input"};
}

// In place: the gray of pixel i overwrites bytes that were read already.
// Luma of ITU-R BT.601 (0.299, 0.587, 0.114) in 16-bit fractions that add up to one.
void rgb_to_gray(std::span<std::uint8_t> row) {
  for (std::size_t i = 0; i < row.size() / kRgb; ++i) {
    const std::uint32_t red = row[kRgb * i];
    const std::uint32_t green = row[kRgb * i + 1];
    const std::uint32_t blue = row[kRgb * i + 2];
    const std::uint32_t luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
    row[i] = static_cast<std::uint8_t>(luma);
  }
}

void rgb_to_bgr(std::span<std::uint8_t> pixels) {
  for (std::size_t i = 0; i < pixels.size(); i += kRgb) std::swap(pixels[i], pixels[i + 2]);
}

// Pulls every row of `source` through crop and resize into `resized` (output height x width x
// channels, not yet upright).
Status resize_rows(RowSource& source, const CropRegion& crop, PictureSize output,
                   std::uint32_t channels, std::span<std::uint8_t> resized) {
  StreamingResizer resizer(crop.size, output, channels);
  std::vector<std::uint8_t> row(kRgb * source.width());
  const auto kept = std::span(row).subspan(kRgb * crop.left, kRgb * crop.size.width);
  for (std::uint32_t y = 0; y < source.height(); ++y) {
    CLEAVE_RETURN_IF_ERROR(source.next_row(row));
    if (y < crop.top || y - crop.top >= crop.size.height) continue;
    if (channels == 1) rgb_to_gray(kept);
    resizer.push_row(kept.first(std::size_t{crop.size.width} * channels), resized);
  }
  return source.finish();
}

}  // namespace

bool takes_pictures(const fbs::Preprocessing& preprocessing, const fbs::Shape& shape) {
  return preprocessing.color_order() != fbs::ColorOrder::None &&
         is_of_picture(preprocessing, shape);
}

Status decode_to_model_size(std::span<const std::byte> file,
                            const fbs::Preprocessing& preprocessing, const fbs::Shape& shape,
                            const PictureLimits& limits, std::span<std::uint8_t> pixels) {
  CLEAVE_RETURN_IF_ERROR(check_target(preprocessing, shape, pixels.size()));
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<RowSource> source, open_row_source(file, limits));
  const CropRegion crop = crop_region(preprocessing, {source->width(), source->height()});
  const Orientation orientation = source->orientation();
  if (orientation == Orientation::kUpright) {
    const PictureSize output{shape.width(), shape.height()};
    CLEAVE_RETURN_IF_ERROR(resize_rows(*source, crop, output, shape.channels(), pixels));
  } else {
    // The small picture is turned, not the large one: rows of the file can then stream.
    const bool swaps = swaps_sides(orientation);
    const PictureSize output{swaps ? shape.height() : shape.width(),
                             swaps ? shape.width() : shape.height()};
    std::vector<std::uint8_t> lying(pixels.size());
    CLEAVE_RETURN_IF_ERROR(resize_rows(*source, crop, output, shape.channels(), lying));
    turn_upright(lying, output.width, output.height, shape.channels(), orientation, pixels);
  }
  if (preprocessing.color_order() == fbs::ColorOrder::BGR) rgb_to_bgr(pixels);
  return Status::ok();
}

Status decode_at_model_size(std::span<const std::byte> file,
                            const fbs::Preprocessing& preprocessing, const fbs::Shape& shape,
                            std::span<std::uint8_t> pixels) {
  if (!takes_pictures(preprocessing, shape)) {
    return {StatusCode::kInvalidArgument, "the model's input is no picture"};
  }
  CLEAVE_RETURN_IF_ERROR(check_target(preprocessing, shape, pixels.size()));
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<RowSource> source,
                          open_jpeg_of_size(file, shape.width(), shape.height()));
  std::vector<std::uint8_t> row(kRgb * source->width());
  const auto kept = std::span(row).first(std::size_t{shape.width()} * shape.channels());
  for (std::uint32_t y = 0; y < source->height(); ++y) {
    CLEAVE_RETURN_IF_ERROR(source->next_row(row));
    if (shape.channels() == 1) rgb_to_gray(row);
    std::ranges::copy(kept, pixels.begin() + static_cast<std::ptrdiff_t>(y * kept.size()));
  }
  CLEAVE_RETURN_IF_ERROR(source->finish());
  if (preprocessing.color_order() == fbs::ColorOrder::BGR) rgb_to_bgr(pixels);
  return Status::ok();
}

}  // namespace cleave
