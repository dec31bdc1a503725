// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/boundary_codec.h"

#include <algorithm>
#include <string>

#include "engine/codec/codec_factories.h"

namespace cleave {
namespace {

using codec::Boundary;
using codec::BoundaryTensor;

// REQUIRES: variant and cut are the model's.
Boundary boundary_at(const fbs::Model& model, std::uint32_t variant, OpIndex cut) {
  const auto& tensors = *model.variants()->Get(variant)->tensors();
  const std::vector<Cut> cuts = find_cuts(model, variant);
  Boundary boundary;
  for (const TensorId id : cuts[cut].boundary_tensors) {
    const fbs::Tensor& tensor = *tensors.Get(id);
    const fbs::Shape& shape = *tensor.shape();
    boundary.push_back({.dtype = tensor.dtype(),
                        .positions = std::size_t{shape.height()} * shape.width(),
                        .channels = shape.channels()});
  }
  return boundary;
}

}  // namespace

std::vector<CodecChoice> codecs_at(const ModelFile& model, std::uint32_t variant, OpIndex cut) {
  std::vector<CodecChoice> choices{{.codec = fbs::Codec::Raw}, {.codec = fbs::Codec::Lossless}};
  const Boundary boundary = boundary_at(model.header(), variant, cut);
  if (std::ranges::any_of(boundary, &BoundaryTensor::is_f32)) {
    choices.push_back({.codec = fbs::Codec::F16});
    choices.push_back({.codec = fbs::Codec::Int8});
  }
  return choices;
}

Result<std::unique_ptr<BoundaryCodec>> BoundaryCodec::create(const ModelFile& model,
                                                             std::uint32_t variant, OpIndex cut,
                                                             CodecChoice choice) {
  const fbs::Model& header = model.header();
  if (variant >= header.variants()->size() ||
      cut > header.variants()->Get(variant)->ops()->size()) {
    return Status(StatusCode::kOutOfRange, "no such variant or cut");
  }
  if (choice.quality != 0 && choice.codec != fbs::Codec::Coded) {
    return Status(StatusCode::kUnsupported, "this codec has no levels of quality");
  }
  const Boundary boundary = boundary_at(header, variant, cut);
  switch (choice.codec) {
    case fbs::Codec::Raw:
      return codec::make_raw_codec(boundary);
    case fbs::Codec::Lossless:
      return codec::make_lossless_codec(boundary);
    case fbs::Codec::F16:
      return codec::make_f16_codec(boundary);
    case fbs::Codec::Int8:
      return codec::make_int8_codec(boundary);
    case fbs::Codec::Coded:
      return Status(StatusCode::kNotFound, "the model has no table for cut " + std::to_string(cut));
    case fbs::Codec::Jpeg:
    case fbs::Codec::PixelsU8:
      break;
  }
  return Status(StatusCode::kUnsupported, "not a codec for boundary tensors");
}

}  // namespace cleave
