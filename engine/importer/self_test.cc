// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/self_test.h"

#include <algorithm>
#include <cmath>

#include "engine/executor.h"
#include "engine/image/picture.h"
#include "engine/importer/model_pixels.h"

namespace cleave::importer {
namespace {

Result<std::vector<float>> run_model(std::shared_ptr<const ModelFile> file,
                                     std::span<const std::uint8_t> pixels) {
  const OpIndex ops = file->header().variants()->Get(0)->ops()->size();
  const fbs::Preprocessing& preprocessing = *file->header().preprocessing();
  CLEAVE_ASSIGN_OR_RETURN(auto weights, Weights::create(file, 0, {0, ops}));
  CLEAVE_ASSIGN_OR_RETURN(auto executor, Executor::create(weights, {}));
  CLEAVE_RETURN_IF_ERROR(executor->prepare({0, ops}, 1));
  const BoundaryBuffer input = executor->inputs()[0];
  normalize(pixels, preprocessing, input_shape(*file).channels(), input.f32());
  CLEAVE_RETURN_IF_ERROR(executor->run());
  const BoundaryBuffer output = executor->outputs()[0];
  return std::vector<float>(output.f32().begin(), output.f32().end());
}

}  // namespace

Result<SelfTestPicture> make_self_test(std::span<const std::byte> model_file,
                                       const std::string& picture_path) {
  CLEAVE_ASSIGN_OR_RETURN(const auto file, ModelFile::from_bytes(model_file));
  SelfTestPicture test;
  CLEAVE_ASSIGN_OR_RETURN(test.pixels, model_pixels(*file, picture_path));
  CLEAVE_ASSIGN_OR_RETURN(test.scores, run_model(file, test.pixels));
  if (!std::all_of(test.scores.begin(), test.scores.end(),
                   [](float s) { return std::isfinite(s); })) {
    return Status{StatusCode::kInvalidArgument, "the network's scores on " + picture_path +
                                                    " are not finite; check --mean and --std"};
  }
  return test;
}

}  // namespace cleave::importer
