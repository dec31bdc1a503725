// SPDX-License-Identifier: Apache-2.0
#include "tests/support/photo_classifier.h"

#include <algorithm>
#include <utility>

#include "engine/image/picture.h"
#include "engine/importer/importer.h"
#include "engine/weights.h"

namespace cleave::test {
namespace {

Result<std::shared_ptr<const ModelFile>> compile_source(
    const std::string& path, const std::function<void(importer::Graph&)>& adjust,
    const importer::VariantOptions& precisions) {
  CLEAVE_ASSIGN_OR_RETURN(importer::Graph graph, importer::read_source(path));
  adjust(graph);
  CLEAVE_RETURN_IF_ERROR(importer::compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const auto variants, importer::Variants::make(graph, precisions));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                          importer::build_model_file(variants.list()));
  return ModelFile::from_bytes(bytes);
}

}  // namespace

Result<PhotoClassifier> PhotoClassifier::open(std::shared_ptr<const ModelFile> model,
                                              std::uint32_t variant) {
  PhotoClassifier result;
  result.model_ = std::move(model);
  const OpRange all{0, result.model_->header().variants()->Get(variant)->ops()->size()};
  CLEAVE_ASSIGN_OR_RETURN(std::shared_ptr<const Weights> weights,
                          Weights::create(result.model_, variant, all));
  CLEAVE_ASSIGN_OR_RETURN(result.executor_, Executor::create(std::move(weights), {.threads = 1}));
  CLEAVE_RETURN_IF_ERROR(result.executor_->prepare(all, 1));
  return result;
}

Result<PhotoClassifier> PhotoClassifier::create(
    const std::string& path, const std::function<void(importer::Graph&)>& adjust) {
  CLEAVE_ASSIGN_OR_RETURN(auto model, compile_source(path, adjust, {}));
  return open(std::move(model), 0);
}

Result<std::vector<PhotoClassifier>> PhotoClassifier::create_all(
    const std::string& path, const std::function<void(importer::Graph&)>& adjust,
    const importer::VariantOptions& precisions) {
  CLEAVE_ASSIGN_OR_RETURN(const auto model, compile_source(path, adjust, precisions));
  std::vector<PhotoClassifier> classifiers;
  for (std::uint32_t variant = 0; variant < model->header().variants()->size(); ++variant) {
    CLEAVE_ASSIGN_OR_RETURN(PhotoClassifier made, open(model, variant));
    classifiers.push_back(std::move(made));
  }
  return classifiers;
}

const fbs::Shape& PhotoClassifier::input_shape() const {
  const fbs::Variant& variant = *model_->header().variants()->Get(0);
  return *variant.tensors()->Get(variant.input())->shape();
}

Result<std::span<const float>> PhotoClassifier::classify_file(const std::string& picture) {
  const PictureLimits limits;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> file, read_picture_file(picture, limits));
  std::vector<std::uint8_t> pixels(element_count(input_shape()));
  CLEAVE_RETURN_IF_ERROR(
      decode_to_model_size(file, *model_->header().preprocessing(), input_shape(), limits, pixels));
  return classify_pixels(pixels);
}

Result<std::span<const float>> PhotoClassifier::classify_pixels(
    std::span<const std::uint8_t> pixels) {
  const BoundaryBuffer& input = executor_->inputs()[0];
  normalize(pixels, *model_->header().preprocessing(), input_shape().channels(), input.f32());
  CLEAVE_RETURN_IF_ERROR(executor_->run());
  const BoundaryBuffer& scores = executor_->outputs()[0];
  return std::span<const float>(scores.f32());
}

std::size_t top_1(std::span<const float> scores) {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

}  // namespace cleave::test
