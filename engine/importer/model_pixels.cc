// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/model_pixels.h"

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

}  // namespace cleave::importer
