// SPDX-License-Identifier: Apache-2.0
#include "engine/image/row_source.h"

#include <string>

#include "engine/image/jpeg_decoder.h"
#include "engine/image/png_decoder.h"

namespace cleave {

Result<std::unique_ptr<RowSource>> open_row_source(std::span<const std::byte> file,
                                                   const PictureLimits& limits) {
  if (file.size() > limits.max_file_bytes) {
    return Status(StatusCode::kOutOfRange, "picture file of " + std::to_string(file.size()) +
                                               " bytes is above the limit of " +
                                               std::to_string(limits.max_file_bytes));
  }
  CLEAVE_ASSIGN_OR_RETURN(const PictureFormat format, detect_format(file));
  return format == PictureFormat::kJpeg ? open_jpeg(file, limits) : open_png(file, limits);
}

std::uint64_t whole_picture_bytes(std::span<const std::byte> file) {
  const auto format = detect_format(file);
  if (!format.is_ok()) return 0;
  return *format == PictureFormat::kJpeg ? jpeg_whole_bytes(file) : png_whole_bytes(file);
}

Status check_dimensions(std::uint64_t width, std::uint64_t height, const PictureLimits& limits) {
  // Each side first, so that the product cannot overflow.
  const bool sides_fit = width <= limits.max_side && height <= limits.max_side;
  if (sides_fit && width * height <= limits.max_pixels) return Status::ok();
  return {StatusCode::kOutOfRange, "picture of " + std::to_string(width) + " x " +
                                       std::to_string(height) + " is above the limit of " +
                                       std::to_string(limits.max_pixels) + " pixels or " +
                                       std::to_string(limits.max_side) + " a side"};
}

Status check_whole_picture_bytes(std::uint64_t bytes, const char* kind,
                                 const PictureLimits& limits) {
  if (bytes <= limits.max_whole_picture_bytes) return Status::ok();
  return {StatusCode::kOutOfRange, std::string(kind) + " has to be held whole, which needs " +
                                       std::to_string(bytes) +
                                       " bytes of memory, above the limit of " +
                                       std::to_string(limits.max_whole_picture_bytes)};
}

}  // namespace cleave
