// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/import_options.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace cleave::importer {
namespace {

constexpr double kWhole = 255.0;
constexpr std::size_t kMaxLabelsFileBytes = 16u << 20;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// `values` times `unit`, one for each channel.
Result<std::vector<float>> per_channel(const char* flag, const std::vector<double>& values,
                                       double unit, std::size_t channels) {
  if (values.size() != 1 && values.size() != channels) {
    return invalid(std::string(flag) + " has " + std::to_string(values.size()) +
                   " numbers; give 1 or " + std::to_string(channels) + ", one per channel");
  }
  std::vector<float> result(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    result[c] = static_cast<float>(values[values.size() == 1 ? 0 : c] * unit);
    if (!std::isfinite(result[c])) return invalid(std::string(flag) + " is not a finite number");
  }
  return result;
}

// Deviations come as such, in units of 0..1, or as the factor 1 / deviation.
Status apply_deviation(const ImportOptions& options, std::size_t channels, GraphPreprocessing& p) {
  const char* flag = "--std";
  std::vector<double> values = options.deviation;
  double unit = 1;
  if (!options.deviation01.empty()) {
    flag = "--std01";
    values = options.deviation01;
    unit = kWhole;
  } else if (options.scale.has_value()) {
    flag = "--scale";
    values = {1.0 / *options.scale};
  }
  if (values.empty()) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(p.deviation, per_channel(flag, values, unit, channels));
  const bool zero =
      std::any_of(p.deviation.begin(), p.deviation.end(), [](float d) { return d == 0; });
  return zero ? invalid(std::string(flag) + " must not be zero") : Status::ok();
}

Status apply_mean(const ImportOptions& options, std::size_t channels, GraphPreprocessing& p) {
  if (!options.mean.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(p.mean, per_channel("--mean", options.mean, 1, channels));
  }
  if (!options.mean01.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(p.mean, per_channel("--mean01", options.mean01, kWhole, channels));
  }
  return Status::ok();
}

Status apply_color(const std::string& color, std::size_t channels, GraphPreprocessing& p) {
  using Order = GraphPreprocessing::ColorOrder;
  if (color != "rgb" && color != "bgr" && color != "gray") {
    return invalid("--color must be rgb, bgr or gray");
  }
  const std::size_t needed = color == "gray" ? 1 : 3;
  if (needed != channels) {
    return invalid("--color " + color + " needs a network with " + std::to_string(needed) +
                   " input channels; this one has " + std::to_string(channels));
  }
  p.color_order = color == "rgb" ? Order::kRgb : color == "bgr" ? Order::kBgr : Order::kGray;
  return Status::ok();
}

Status apply_crop(const std::string& crop, GraphPreprocessing& p) {
  constexpr std::string_view kCenter = "center";
  constexpr double kPpm = 1'000'000;
  if (crop == "none") {
    p.crop = GraphPreprocessing::Crop::kNone;
    p.crop_ppm = static_cast<std::uint32_t>(kPpm);
    return Status::ok();
  }
  double fraction = 1;
  bool sound = crop.starts_with(kCenter);
  if (sound && crop.size() > kCenter.size()) {
    const char* first = crop.data() + kCenter.size() + 1;
    const char* last = crop.data() + crop.size();
    const auto [end, error] = std::from_chars(first, last, fraction);
    sound = crop[kCenter.size()] == ':' && error == std::errc() && end == last;
  }
  // Written so that a NaN fails it.
  if (!sound || !(fraction > 1 / kPpm && fraction <= 1)) {
    return invalid("--crop must be none, center or center:FRACTION with 0 < FRACTION <= 1");
  }
  p.crop = GraphPreprocessing::Crop::kCenterSquare;
  p.crop_ppm = static_cast<std::uint32_t>(std::lround(fraction * kPpm));
  return Status::ok();
}

Status apply_labels(const std::string& path, Graph& graph) {
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::string> labels, read_labels(path));
  const Hwc& scores = graph.values[graph.output].shape;
  const std::uint64_t outputs = std::uint64_t{scores.height} * scores.width * scores.channels;
  if (labels.size() != outputs) {
    return invalid("--labels: " + path + " has " + std::to_string(labels.size()) +
                   " lines, the network has " + std::to_string(outputs) + " outputs");
  }
  graph.labels = std::move(labels);
  return Status::ok();
}

}  // namespace

bool preprocessing_unknown(const Graph& graph) {
  return graph.preprocessing.mean.empty() && graph.preprocessing.deviation.empty();
}

Result<std::vector<std::string>> read_labels(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIo;
    return Status{code,
                  "--labels: cannot read " + path + ": " + std::generic_category().message(errno)};
  }
  std::vector<std::string> labels;
  std::size_t bytes = 0;
  for (std::string line; std::getline(file, line);) {
    if ((bytes += line.size() + 1) > kMaxLabelsFileBytes) {
      return invalid("--labels: " + path + " is larger than 16 MiB");
    }
    if (line.ends_with('\r')) line.pop_back();
    labels.push_back(std::move(line));
  }
  if (!labels.empty() && labels.back().empty()) labels.pop_back();
  return labels;
}

Status apply_options(const ImportOptions& options, Graph& graph) {
  const std::size_t channels = graph.values[graph.input].shape.channels;
  GraphPreprocessing& p = graph.preprocessing;
  CLEAVE_RETURN_IF_ERROR(apply_mean(options, channels, p));
  CLEAVE_RETURN_IF_ERROR(apply_deviation(options, channels, p));
  if (options.color) CLEAVE_RETURN_IF_ERROR(apply_color(*options.color, channels, p));
  if (options.crop) CLEAVE_RETURN_IF_ERROR(apply_crop(*options.crop, p));
  if (options.labels_path) CLEAVE_RETURN_IF_ERROR(apply_labels(*options.labels_path, graph));
  if (options.name) graph.name = *options.name;
  if (options.licence) graph.licence = *options.licence;
  return Status::ok();
}

}  // namespace cleave::importer
