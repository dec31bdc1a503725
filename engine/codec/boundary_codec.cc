// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/boundary_codec.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "engine/tensor.h"

namespace cleave {

codec::Boundary codec::boundary_at(const fbs::Model& model, std::uint32_t variant, OpIndex cut) {
  const auto& tensors = *model.variants()->Get(variant)->tensors();
  const std::vector<Cut> cuts = find_cuts(model, variant);
  Boundary boundary;
  for (const TensorId id : cuts[cut].boundary_tensors) {
    const fbs::Tensor& tensor = *tensors.Get(id);
    const fbs::Shape& shape = *tensor.shape();
    boundary.push_back({.dtype = tensor.dtype(),
                        .zero_point = tensor_type(tensor).zero_point,
                        .positions = std::size_t{shape.height()} * shape.width(),
                        .width = shape.width(),
                        .channels = shape.channels()});
  }
  return boundary;
}

namespace {

using codec::Boundary;
using codec::boundary_at;
using codec::BoundaryTensor;
using codec::CodedQuality;
using codec::Created;

// Null when the model has none. REQUIRES: the variant is the model's.
const fbs::CodecTable* find_coded_table(const fbs::Model& model, std::uint32_t variant,
                                        OpIndex cut) {
  if (model.codec_tables() == nullptr) return nullptr;
  const std::string_view name = model.variants()->Get(variant)->name()->string_view();
  for (const fbs::CodecTable* table : *model.codec_tables()) {
    const bool is_coded = table->codec() == static_cast<std::uint8_t>(fbs::Codec::Coded);
    if (is_coded && table->cut() == cut && table->variant()->string_view() == name) return table;
  }
  return nullptr;
}

// Of no table no level.
Result<std::vector<CodedQuality>> qualities_at(const fbs::Model& model, std::uint32_t variant,
                                               OpIndex cut, const Boundary& boundary) {
  const fbs::CodecTable* table = find_coded_table(model, variant, cut);
  if (table == nullptr) return std::vector<CodedQuality>{};
  auto qualities =
      codec::read_coded_table({table->data()->data(), table->data()->size()}, boundary);
  const std::string which = "the coded table of cut " + std::to_string(cut);
  if (!qualities.is_ok()) return qualities.status().with_context(which);
  const auto* allowed = table->disagreement_ppm();
  if (allowed == nullptr) return qualities;
  if (allowed->size() != qualities->size()) {
    return Status(StatusCode::kCorrupt, which + " has not one disagreement for each of its levels");
  }
  for (std::uint32_t i = 0; i < allowed->size(); ++i) {
    (*qualities)[i].figures.allowed_ppm = allowed->Get(i);
  }
  return qualities;
}

Created make_coded(const fbs::Model& model, std::uint32_t variant, OpIndex cut,
                   const Boundary& boundary, std::uint8_t quality) {
  CLEAVE_ASSIGN_OR_RETURN(const auto qualities, qualities_at(model, variant, cut, boundary));
  if (qualities.empty()) {
    return Status(StatusCode::kNotFound, "the model was not calibrated for codec coded at cut " +
                                             std::to_string(cut) +
                                             " (cleave-import calibrate-codec does that)");
  }
  if (quality >= qualities.size()) {
    return Status(StatusCode::kNotFound, "cut " + std::to_string(cut) + " has " +
                                             std::to_string(qualities.size()) +
                                             " levels of codec coded, numbered from 0");
  }
  return codec::make_coded_codec(boundary, qualities[quality]);
}

}  // namespace

Result<std::vector<CodedFigures>> coded_figures(const ModelFile& model, std::uint32_t variant,
                                                OpIndex cut) {
  const Boundary boundary = boundary_at(model.header(), variant, cut);
  CLEAVE_ASSIGN_OR_RETURN(const auto qualities,
                          qualities_at(model.header(), variant, cut, boundary));
  std::vector<CodedFigures> figures;
  for (const CodedQuality& quality : qualities) figures.push_back(quality.figures);
  return figures;
}

std::vector<CodecChoice> codecs_at(const ModelFile& model, std::uint32_t variant, OpIndex cut) {
  std::vector<CodecChoice> choices{{.codec = fbs::Codec::Raw}, {.codec = fbs::Codec::Lossless}};
  const Boundary boundary = boundary_at(model.header(), variant, cut);
  if (std::ranges::any_of(boundary, &BoundaryTensor::is_f32)) {
    choices.push_back({.codec = fbs::Codec::F16});
    choices.push_back({.codec = fbs::Codec::Int8});
  }
  if (find_coded_table(model.header(), variant, cut) == nullptr) return choices;
  // One that does not check is listed, so that whoever makes it is told.
  const auto qualities = qualities_at(model.header(), variant, cut, boundary);
  const std::size_t levels = qualities.is_ok() ? qualities->size() : 1;
  for (std::size_t i = 0; i < levels; ++i) {
    choices.push_back({.codec = fbs::Codec::Coded, .quality = static_cast<std::uint8_t>(i)});
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
      return make_coded(header, variant, cut, boundary, choice.quality);
    case fbs::Codec::Jpeg:
    case fbs::Codec::PixelsU8:
    case fbs::Codec::JpegModelSize:
      break;
  }
  return Status(StatusCode::kUnsupported, "not a codec for boundary tensors");
}

}  // namespace cleave
