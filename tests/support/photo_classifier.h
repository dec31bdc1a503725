// SPDX-License-Identifier: Apache-2.0
//
// A source network through the whole path of a product: imported, written as a model file, opened,
// run by the engine on pictures that our decoder read. For tests with real networks and photos.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "engine/importer/graph.h"
#include "engine/importer/variants.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::test {

class PhotoClassifier {
 public:
  // `path` is anything that read_source() takes; `adjust` may set what the source does not say
  // (preprocessing). Runs on the caller's thread only: tests share the machine, and waiting workers
  // spin.
  static Result<PhotoClassifier> create(const std::string& path,
                                        const std::function<void(importer::Graph&)>& adjust);

  // The same network in each of the precisions, in their order.
  static Result<std::vector<PhotoClassifier>> create_all(
      const std::string& path, const std::function<void(importer::Graph&)>& adjust,
      const importer::VariantOptions& precisions);

  // The scores of a JPEG or PNG file, or of pixels at model size. Valid until the next call.
  Result<std::span<const float>> classify_file(const std::string& picture);
  Result<std::span<const float>> classify_pixels(std::span<const std::uint8_t> pixels);

  [[nodiscard]] const fbs::Shape& input_shape() const;
  [[nodiscard]] const ModelFile& model() const { return *model_; }

 private:
  static Result<PhotoClassifier> open(std::shared_ptr<const ModelFile> model,
                                      std::uint32_t variant);

  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<Executor> executor_;
};

// Index of the greatest score, the first one of equals.
std::size_t top_1(std::span<const float> scores);

}  // namespace cleave::test
