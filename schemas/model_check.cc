// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_check.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/check/graph_check.h"
#include "schemas/check/vector_alignment.h"
#include "schemas/model_preamble.h"
#include "schemas/op_shape.h"
#include "schemas/text_check.h"

namespace cleave {
namespace {

constexpr std::uint32_t kMaxHeaderDepth = 16;
constexpr std::uint32_t kMaxHeaderTables = 200'000;
constexpr std::uint32_t kWholePpm = 1'000'000;

Result<const fbs::Model*> verify(std::span<const std::byte> header) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(header.data()),
                                 header.size(), kMaxHeaderDepth, kMaxHeaderTables);
  if (!fbs::VerifyModelBuffer(verifier)) return corrupt("header is not a well-formed FlatBuffer");
  return fbs::GetModel(header.data());
}

Status check_segments(const fbs::Model& model, std::size_t header_bytes, std::uint64_t file_bytes) {
  std::uint64_t end = kModelPreambleBytes + header_bytes;
  const std::uint32_t count = model.segments() == nullptr ? 0 : model.segments()->size();
  if (count > kMaxSegments) return corrupt("too many segments: " + std::to_string(count));
  if (count > 0 && !elements_aligned(*model.segments(), alignof(fbs::Segment))) {
    return corrupt("the segment table is not aligned");
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const fbs::Segment& segment = *model.segments()->Get(i);
    if (segment.offset() != next_segment_offset(end)) {
      return corrupt("segment " + std::to_string(i) + " is not where the one before it ends");
    }
    if (segment.bytes() == 0 || segment.offset() > file_bytes ||
        segment.bytes() > file_bytes - segment.offset()) {
      return corrupt("segment " + std::to_string(i) + " is empty or does not lie in the file");
    }
    end = segment.offset() + segment.bytes();
  }
  return end == file_bytes ? Status::ok() : corrupt("bytes follow the last segment");
}

Status check_required_name(const flatbuffers::String& name, const char* what) {
  if (name.size() == 0) return corrupt(std::string(what) + " is empty");
  return check_text(name.string_view(), kMaxNameBytes).with_context(what);
}

Status check_layers(const fbs::Model& model) {
  const std::uint32_t count = model.layers()->size();
  if (count < 1 || count > kMaxOps) return corrupt(std::to_string(count) + " layers");
  for (const fbs::Layer* layer : *model.layers()) {
    CLEAVE_RETURN_IF_ERROR(check_required_name(*layer->name(), "layer name"));
    CLEAVE_RETURN_IF_ERROR(check_required_name(*layer->kind(), "layer kind"));
  }
  return Status::ok();
}

Status check_texts(const fbs::Model& model) {
  CLEAVE_RETURN_IF_ERROR(check_required_name(*model.name(), "name"));
  CLEAVE_RETURN_IF_ERROR(check_required_name(*model.source_format(), "source_format"));
  if (model.licence() == nullptr) return Status::ok();
  return check_text(model.licence()->string_view(), kMaxLicenceBytes, TextLines::kMany)
      .with_context("licence");
}

const fbs::Shape& shape_of(const fbs::Variant& variant, std::uint32_t tensor) {
  return *variant.tensors()->Get(tensor)->shape();
}

std::uint64_t elements(const fbs::Shape& shape) {
  return std::uint64_t{shape.height()} * shape.width() * shape.channels();
}

const fbs::Variant* find_variant(const fbs::Model& model, std::string_view name) {
  for (const fbs::Variant* variant : *model.variants()) {
    if (variant->name()->string_view() == name) return variant;
  }
  return nullptr;
}

Status check_same_network(const fbs::Variant& first, const fbs::Variant& variant) {
  if (same_shape(shape_of(first, first.input()), shape_of(variant, variant.input())) &&
      same_shape(shape_of(first, first.output()), shape_of(variant, variant.output()))) {
    return Status::ok();
  }
  return corrupt("input or output is not of the first variant's shape");
}

Status check_variants(const fbs::Model& model) {
  const std::uint32_t count = model.variants()->size();
  if (count < 1 || count > kMaxVariants) return corrupt(std::to_string(count) + " variants");
  std::vector<bool> segment_used(model.segments() == nullptr ? 0 : model.segments()->size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const fbs::Variant& variant = *model.variants()->Get(i);
    const std::string context = "variant " + std::to_string(i);
    CLEAVE_RETURN_IF_ERROR(
        check_required_name(*variant.name(), "variant name").with_context(context));
    if (find_variant(model, variant.name()->string_view()) != &variant) {
      return corrupt(context + ": has the name of an earlier one");
    }
    CLEAVE_RETURN_IF_ERROR(check_variant(model, variant, segment_used).with_context(context));
    CLEAVE_RETURN_IF_ERROR(
        check_same_network(*model.variants()->Get(0), variant).with_context(context));
  }
  if (std::ranges::find(segment_used, false) != segment_used.end()) {
    return corrupt("a segment belongs to no op");
  }
  return Status::ok();
}

bool order_fits(fbs::ColorOrder order, std::uint32_t channels) {
  switch (order) {
    case fbs::ColorOrder::RGB:
    case fbs::ColorOrder::BGR:
      return channels == 3;
    case fbs::ColorOrder::Gray:
      return channels == 1;
    case fbs::ColorOrder::None:
      return true;
  }
  return false;
}

Status check_preprocessing(const fbs::Preprocessing& preprocessing, const fbs::Shape& input) {
  if (!order_fits(preprocessing.color_order(), input.channels())) {
    return corrupt("color_order does not go with " + std::to_string(input.channels()) +
                   " channels");
  }
  if (preprocessing.crop() > fbs::Crop::MAX || preprocessing.filter() > fbs::ResizeFilter::MAX) {
    return corrupt("unknown crop or filter");
  }
  if (preprocessing.crop_ppm() < 1 || preprocessing.crop_ppm() > kWholePpm) {
    return corrupt("crop_ppm is not 1..1000000");
  }
  const auto& means = *preprocessing.mean();
  const auto& deviations = *preprocessing.deviation();
  if (means.size() != input.channels() || deviations.size() != input.channels()) {
    return corrupt("not one mean and one deviation per channel");
  }
  if (!std::ranges::all_of(means, [](float v) { return std::isfinite(v); }) ||
      !std::ranges::all_of(deviations, [](float v) { return std::isfinite(v) && v != 0; })) {
    return corrupt("a mean or deviation is not finite, or a deviation is zero");
  }
  return Status::ok();
}

Status check_labels(const fbs::Model& model, std::uint64_t scores) {
  if (model.labels() == nullptr) return Status::ok();
  if (model.labels()->size() != scores) {
    return corrupt(std::to_string(model.labels()->size()) + " labels for " +
                   std::to_string(scores) + " scores");
  }
  for (const flatbuffers::String* label : *model.labels()) {
    CLEAVE_RETURN_IF_ERROR(check_text(label->string_view(), kMaxLabelBytes));
  }
  return Status::ok();
}

Status check_self_test(const fbs::Model& model, std::uint64_t pixels, std::uint64_t scores) {
  if (model.self_test() == nullptr) return Status::ok();
  const fbs::SelfTest& test = *model.self_test();
  if (model.preprocessing()->color_order() == fbs::ColorOrder::None) {
    return corrupt("a picture for a model that takes none");
  }
  if (find_variant(model, test.variant()->string_view()) == nullptr) {
    return corrupt("no such variant");
  }
  if (test.pixels()->size() != pixels || test.scores()->size() != scores) {
    return corrupt("pixels or scores are not as many as the model's");
  }
  if (!std::ranges::all_of(*test.scores(), [](float v) { return std::isfinite(v); }) ||
      !std::isfinite(test.tolerance()) || test.tolerance() < 0) {
    return corrupt("a score or the tolerance is not finite, or the tolerance negative");
  }
  return Status::ok();
}

Status check_codec_tables(const fbs::Model& model) {
  if (model.codec_tables() == nullptr) return Status::ok();
  for (const fbs::CodecTable* table : *model.codec_tables()) {
    const fbs::Variant* variant = find_variant(model, table->variant()->string_view());
    if (variant == nullptr || table->cut() > variant->ops()->size()) {
      return corrupt("no such variant or cut");
    }
    const auto* disagreement = table->disagreement_ppm();
    if (disagreement == nullptr) continue;
    if (!elements_aligned(*disagreement, alignof(std::uint32_t))) {
      return corrupt("disagreement is not aligned");
    }
    if (std::ranges::any_of(*disagreement, [](std::uint32_t ppm) { return ppm > 1'000'000; })) {
      return corrupt("a disagreement over 1000000 ppm");
    }
  }
  return Status::ok();
}

}  // namespace

Result<const fbs::Model*> check_model_header(std::span<const std::byte> header,
                                             std::uint64_t file_bytes) {
  CLEAVE_ASSIGN_OR_RETURN(const fbs::Model* const verified, verify(header));
  const fbs::Model& model = *verified;
  CLEAVE_RETURN_IF_ERROR(check_segments(model, header.size(), file_bytes));
  CLEAVE_RETURN_IF_ERROR(check_texts(model));
  CLEAVE_RETURN_IF_ERROR(check_layers(model));
  CLEAVE_RETURN_IF_ERROR(check_variants(model));
  const fbs::Variant& first = *model.variants()->Get(0);
  const fbs::Shape& input = shape_of(first, first.input());
  const std::uint64_t scores = elements(shape_of(first, first.output()));
  CLEAVE_RETURN_IF_ERROR(
      check_preprocessing(*model.preprocessing(), input).with_context("preprocessing"));
  CLEAVE_RETURN_IF_ERROR(check_labels(model, scores).with_context("labels"));
  CLEAVE_RETURN_IF_ERROR(check_self_test(model, elements(input), scores).with_context("self_test"));
  CLEAVE_RETURN_IF_ERROR(check_codec_tables(model).with_context("codec_tables"));
  return &model;
}

Result<std::uint64_t> checked_model_file_bytes(std::span<const std::byte> header) {
  CLEAVE_ASSIGN_OR_RETURN(const fbs::Model* const model, verify(header));
  std::uint64_t bytes = kModelPreambleBytes + header.size();
  if (model->segments() != nullptr && model->segments()->size() > 0) {
    if (!elements_aligned(*model->segments(), alignof(fbs::Segment))) {
      return corrupt("the segment table is not aligned");
    }
    const fbs::Segment& last = *model->segments()->Get(model->segments()->size() - 1);
    if (last.offset() > kMaxModelFileBytes || last.bytes() > kMaxModelFileBytes - last.offset()) {
      return corrupt("longer than a model file may be");
    }
    bytes = last.offset() + last.bytes();
  }
  CLEAVE_RETURN_IF_ERROR(check_model_header(header, bytes).status());
  return bytes;
}

}  // namespace cleave
