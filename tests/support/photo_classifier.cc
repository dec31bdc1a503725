// SPDX-License-Identifier: Apache-2.0
#include "tests/support/photo_classifier.h"

#include <algorithm>
#include <utility>

#include "engine/image/picture.h"
#include "engine/importer/importer.h"
#include "engine/weights.h"

namespace cleave::test {
namespace {

const fbs::Variant& variant_of(const ModelFile& model) {
  return *model.header().variants()->Get(0);
}

Result<std::shared_ptr<const ModelFile>> compile_source(
    const std::string& path, const std::function<void(importer::Graph&)>& adjust) {
  CLEAVE_ASSIGN_OR_RETURN(importer::Graph graph, importer::read_source(path));
  adjust(graph);
  CLEAVE_RETURN_IF_ERROR(importer::compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, importer::build_model_file(graph));
  return ModelFile::from_bytes(bytes);
}

}  // namespace

Result<PhotoClassifier> PhotoClassifier::create(
    const std::string& path, const std::function<void(importer::Graph&)>& adjust) {
  PhotoClassifier result;
  CLEAVE_ASSIGN_OR_RETURN(result.model_, compile_source(path, adjust));
  const OpRange all{0, variant_of(*result.model_).ops()->size()};
  CLEAVE_ASSIGN_OR_RETURN(std::shared_ptr<const Weights> weights,
                          Weights::create(result.model_, 0, all));
  CLEAVE_ASSIGN_OR_RETURN(result.executor_, Executor::create(std::move(weights), {.threads = 1}));
  CLEAVE_RETURN_IF_ERROR(result.executor_->prepare(all, 1));
  return result;
}

const fbs::Shape& PhotoClassifier::input_shape() const {
  const fbs::Variant& variant = variant_of(*model_);
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
