// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/calibrate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>

#include "engine/executor.h"
#include "engine/image/picture.h"
#include "engine/importer/channel_statistics.h"
#include "engine/importer/model_pixels.h"
#include "engine/importer/synthetic_picture.h"
#include "engine/importer/value_histogram.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"

namespace cleave::importer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kGeneratedPictures = 16;

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// Runs the network op by op, with every value in hand.
class Calibrator {
 public:
  static Result<std::unique_ptr<Calibrator>> create(std::span<const std::byte> model_file) {
    auto calibrator = std::unique_ptr<Calibrator>(new Calibrator);
    CLEAVE_ASSIGN_OR_RETURN(calibrator->model_, ModelFile::from_bytes(model_file));
    const fbs::Variant& variant = calibrator->variant();
    CLEAVE_ASSIGN_OR_RETURN(auto weights,
                            Weights::create(calibrator->model_, 0, {0, variant.ops()->size()}));
    CLEAVE_ASSIGN_OR_RETURN(calibrator->executor_, Executor::create(std::move(weights), {}));
    calibrator->histograms_.resize(variant.tensors()->size());
    calibrator->channels_.resize(variant.tensors()->size());
    return calibrator;
  }

  [[nodiscard]] const ModelFile& model() const { return *model_; }

  Status run(std::span<const std::uint8_t> pixels) {
    const fbs::Shape& shape = input_shape(*model_);
    std::vector<float> input(element_count(shape));
    normalize(pixels, *model_->header().preprocessing(), shape.channels(), input);
    return run(std::move(input));
  }

  Status run(std::vector<float> input) {
    values_.clear();
    channels_[variant().input()].add(input, channels_of(variant().input()));
    values_[variant().input()] = std::move(input);
    for (OpIndex op = 0; op < variant().ops()->size(); ++op) CLEAVE_RETURN_IF_ERROR(run_op(op));
    return Status::ok();
  }

  [[nodiscard]] Calibration result() const {
    Calibration result;
    for (TensorId tensor = 0; tensor < histograms_.size(); ++tensor) {
      result.ranges.push_back(histograms_[tensor].best_range(averaged(tensor)));
    }
    result.ranges[variant().input()] = input_range();
    for (const ChannelStatistics& channels : channels_) {
      result.channels.push_back(channels.ranges());
    }
    return result;
  }

 private:
  Calibrator() = default;

  [[nodiscard]] const fbs::Variant& variant() const { return *model_->header().variants()->Get(0); }

  [[nodiscard]] std::size_t channels_of(TensorId tensor) const {
    return variant().tensors()->Get(tensor)->shape()->channels();
  }

  // How many values become one mean: the pixels of a tensor that only global average pools read.
  [[nodiscard]] double averaged(TensorId tensor) const {
    bool read = false;
    for (const fbs::Op* op : *variant().ops()) {
      const auto& inputs = *op->inputs();
      if (std::find(inputs.begin(), inputs.end(), tensor) == inputs.end()) continue;
      if (op->options_type() != fbs::OpOptions::GlobalAveragePool) return 1;
      read = true;
    }
    const fbs::Shape& shape = *variant().tensors()->Get(tensor)->shape();
    return read ? static_cast<double>(shape.height()) * shape.width() : 1;
  }

  Status run_op(OpIndex op) {
    CLEAVE_RETURN_IF_ERROR(executor_->prepare({op, op + 1}, 1));
    for (const BoundaryBuffer& buffer : executor_->inputs()) {
      std::ranges::copy(values_.at(buffer.tensor), buffer.f32().begin());
    }
    CLEAVE_RETURN_IF_ERROR(executor_->run());
    const TensorId written = variant().ops()->Get(op)->output();
    std::map<TensorId, std::vector<float>> alive;
    for (const BoundaryBuffer& buffer : executor_->outputs()) {
      alive[buffer.tensor].assign(buffer.f32().begin(), buffer.f32().end());
    }
    values_ = std::move(alive);
    channels_[written].add(values_.at(written), channels_of(written));
    if (histograms_[written].add(values_.at(written))) return Status::ok();
    return {StatusCode::kUnsupported, "int8: op " + std::to_string(op) +
                                          " computes values that are not finite; check --mean "
                                          "and --std"};
  }

  // Any pixel may be any of 0..255. An input that is no picture takes what it was given.
  [[nodiscard]] ValueRange input_range() const {
    const fbs::Preprocessing& preprocessing = *model_->header().preprocessing();
    ValueRange range;
    for (flatbuffers::uoffset_t c = 0; c < preprocessing.mean()->size(); ++c) {
      for (const float pixel : {0.0F, 255.0F}) {
        const float value =
            (pixel - preprocessing.mean()->Get(c)) / preprocessing.deviation()->Get(c);
        range.minimum = std::min(range.minimum, value);
        range.maximum = std::max(range.maximum, value);
      }
    }
    return range;
  }

  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<Executor> executor_;
  std::vector<ValueHistogram> histograms_;
  std::vector<ChannelStatistics> channels_;
  std::map<TensorId, std::vector<float>> values_;
};

Status run_generated(Calibrator& calibrator) {
  for (std::uint64_t seed = 0; seed < kGeneratedPictures; ++seed) {
    const fbs::Shape& shape = input_shape(calibrator.model());
    CLEAVE_RETURN_IF_ERROR(calibrator.run(synthetic_picture(shape, seed)));
  }
  return Status::ok();
}

}  // namespace

Result<std::vector<std::string>> list_calibration_pictures(const std::string& folder,
                                                           std::size_t most) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_picture(entry->path())) found.push_back(entry->path().string());
  }
  if (error) {
    const bool absent = error == std::errc::no_such_file_or_directory;
    return Status{absent ? StatusCode::kNotFound : StatusCode::kIo,
                  "cannot read " + folder + ": " + error.message()};
  }
  if (found.empty()) {
    return Status{StatusCode::kInvalidArgument, folder + " holds no .jpg, .jpeg or .png"};
  }
  std::ranges::sort(found);
  if (found.size() <= most) return found;
  std::vector<std::string> spaced;
  for (std::size_t i = 0; i < most; ++i) spaced.push_back(found[i * found.size() / most]);
  return spaced;
}

Result<Calibration> calibrate(std::span<const std::byte> model_file,
                              std::span<const std::string> pictures) {
  CLEAVE_ASSIGN_OR_RETURN(const auto calibrator, Calibrator::create(model_file));
  if (pictures.empty()) CLEAVE_RETURN_IF_ERROR(run_generated(*calibrator));
  for (const std::string& picture : pictures) {
    CLEAVE_ASSIGN_OR_RETURN(const auto pixels, model_pixels(calibrator->model(), picture));
    CLEAVE_RETURN_IF_ERROR(calibrator->run(pixels));
  }
  return calibrator->result();
}

}  // namespace cleave::importer
