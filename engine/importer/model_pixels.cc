// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/model_pixels.h"

#include <algorithm>

#include "engine/image/picture.h"
#include "engine/tensor.h"

namespace cleave::importer {

const fbs::Shape& input_shape(const ModelFile& model) {
  const fbs::Variant& variant = *model.header().variants()->Get(0);
  return *variant.tensors()->Get(variant.input())->shape();
}

Result<std::vector<std::uint8_t>> model_pixels(const ModelFile& model,
                                               const std::string& picture_path) {
  const fbs::Preprocessing& preprocessing = *model.header().preprocessing();
  if (preprocessing.color_order() == fbs::ColorOrder::None) {
    return Status{StatusCode::kInvalidArgument, "the network's input is not a picture"};
  }
  const PictureLimits limits;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> picture,
                          read_picture_file(picture_path, limits));
  const fbs::Shape& shape = input_shape(model);
  std::vector<std::uint8_t> pixels(element_count(shape));
  CLEAVE_RETURN_IF_ERROR(decode_to_model_size(picture, preprocessing, shape, limits, pixels)
                             .with_context(picture_path));
  return pixels;
}

std::vector<std::uint8_t> mirrored(std::span<const std::uint8_t> pixels, const fbs::Shape& shape) {
  std::vector<std::uint8_t> result(pixels.size());
  const std::size_t channels = shape.channels();
  for (std::size_t p = 0; p < pixels.size() / channels; ++p) {
    const std::size_t x = p % shape.width();
    const std::size_t from = (p - x + shape.width() - 1 - x) * channels;
    std::ranges::copy(pixels.subspan(from, channels),
                      result.begin() + static_cast<std::ptrdiff_t>(p * channels));
  }
  return result;
}

}  // namespace cleave::importer
