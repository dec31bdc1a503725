// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/coded_statistics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "engine/codec/coded_transform.h"
#include "engine/codec/coded_values.h"
#include "engine/codec/level_coder.h"
#include "engine/codec/neighbour_classes.h"
#include "engine/codec/range_coder.h"

namespace cleave::importer {
namespace {

using codec::BoundaryTensor;
using codec::CodedTensorTable;
using codec::kNeighbourClasses;
using codec::kQuestions;

// Of a step, 1 / 256: zero's interval is 1.34 steps wide. What is rounded down costs fewer bits,
// and centroids take back most of the error.
constexpr std::uint8_t kRounding = 85;
// Of a squared step, 1 / 256: what a bit of a fine step saves of it, 2 ln 2 / 12 (29.6), less
// what levels that follow pay. (With 15 SqueezeNet's ops 3, 7, 12 and 21 take 2 to 7 % more bits.)
constexpr std::uint8_t kBitWeight = 26;
// Levels are chosen by contexts, which follow from levels: so often.
constexpr int kChoices = 2;
// Classes and contexts, and with a weight centroids, are of so many values, about.
constexpr std::size_t kContextValues = 8'000'000;
constexpr std::size_t kChannelClasses = 16;
// A context that was seldom seen is taken to be as its neighbours' class over all channels: that
// counts as so many answers.
constexpr double kPriorAnswers = 4;

float value_at(const BoundaryTensor& tensor, std::span<const std::byte> sample, std::size_t i) {
  if (!tensor.is_f32()) {
    const auto q = static_cast<std::int8_t>(sample[i]);
    return static_cast<float>(q - tensor.zero_point);
  }
  float value = 0;
  std::memcpy(&value, sample.data() + 4 * i, 4);
  return std::isfinite(value) ? value : 0;
}

std::vector<std::int8_t> levels_of(codec::CodedValues& values, std::span<const std::byte> sample) {
  std::vector<std::int8_t> levels(values.elements());
  values.quantize(sample, levels);
  return levels;
}

// Of magnitudes in steps, by level.
struct LevelMeans {
  std::array<double, codec::kCentroids + 1> sums{}, counts{};

  void add(int level, double steps) {
    const auto magnitude = static_cast<std::size_t>(std::abs(level));
    if (magnitude > codec::kCentroids) return;
    sums[magnitude] += std::abs(steps);
    counts[magnitude] += 1;
  }
};

// As CodedTensorTable's centroids are.
void set_centroids(const LevelMeans& means, CodedTensorTable& table) {
  for (std::size_t i = 0; i < codec::kCentroids; ++i) {
    const double magnitude = static_cast<double>(i + 1);
    const double count = means.counts[i + 1];
    const double mean = count > 0 ? means.sums[i + 1] / count : magnitude;
    const double within = (mean - magnitude) * 256 + table.rounding;
    table.centroids[i] = static_cast<std::uint8_t>(std::clamp(std::round(within), 0.0, 255.0));
  }
}

struct Answers {
  double no = 0, yes = 0;
  [[nodiscard]] double all() const { return no + yes; }
};

// Answers to the questions of LevelCoder, by context.
class ContextCounter {
 public:
  ContextCounter(const BoundaryTensor& tensor, const CodedTensorTable& table)
      : tensor_(tensor),
        table_(table),
        nothing_(tensor.channels),
        classes_(tensor.channels),
        answers_(table.channel_classes * codec::kProbabilitiesPerClass) {}

  void count(std::span<const std::int8_t> levels) {
    const std::size_t channels = tensor_.channels;
    for (std::size_t p = 0; p < tensor_.positions; ++p) {
      find_classes(levels, p);
      for (std::size_t c = 0; c < channels; ++c) {
        const std::size_t context = table_.channel_class[c] * kNeighbourClasses + classes_[c];
        count_level(levels[p * channels + c], std::span(answers_).subspan(context * kQuestions));
      }
    }
  }

  [[nodiscard]] std::vector<std::uint8_t> probabilities() const {
    std::vector<std::uint8_t> result;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const Answers prior = over_all_channels(i % codec::kProbabilitiesPerClass);
      const double expected = (prior.yes + 0.5) / (prior.all() + 1);
      const double yes =
          (answers_[i].yes + kPriorAnswers * expected) / (answers_[i].all() + kPriorAnswers);
      result.push_back(static_cast<std::uint8_t>(std::clamp(yes * 256, 0.0, 255.0)));
    }
    return result;
  }

 private:
  [[nodiscard]] Answers over_all_channels(std::size_t in_class) const {
    Answers sum;
    for (std::size_t i = in_class; i < answers_.size(); i += codec::kProbabilitiesPerClass) {
      sum.no += answers_[i].no;
      sum.yes += answers_[i].yes;
    }
    return sum;
  }

  void find_classes(std::span<const std::int8_t> levels, std::size_t position) {
    const std::size_t x = position % tensor_.width;
    const bool has_above = position >= tensor_.width;
    // Of a position so many before this one.
    const auto before = [&](bool there, std::size_t positions) {
      return there ? levels.data() + (position - positions) * tensor_.channels : nothing_.data();
    };
    const codec::Neighbours neighbours{
        .left = before(x > 0, 1),
        .top = before(has_above, tensor_.width),
        .top_left = before(has_above && x > 0, tensor_.width + 1),
        .top_right = before(has_above && x + 1 < tensor_.width, tensor_.width - 1)};
    table_.has_sign ? codec::signed_classes(neighbours, classes_)
                    : codec::unsigned_classes(neighbours, classes_);
  }

  static void count_level(int level, std::span<Answers> questions) {
    const auto answer = [&](std::size_t question, bool yes) {
      (yes ? questions[question].yes : questions[question].no) += 1;
    };
    answer(0, level == 0);
    if (level == 0) return;
    answer(1, level < 0);
    const int magnitude = std::abs(level);
    for (int than = 1; than <= std::min(magnitude, static_cast<int>(kQuestions) - 2); ++than) {
      answer(static_cast<std::size_t>(than + 1), magnitude > than);
    }
  }

  const BoundaryTensor& tensor_;
  const CodedTensorTable& table_;
  std::vector<std::int8_t> nothing_;
  std::vector<std::uint8_t> classes_;
  std::vector<Answers> answers_;
};

// Whole ones, spread over all. The second half may be the first one mirrored: an odd number of them
// takes no picture twice.
std::vector<std::span<const std::byte>> some_of(std::span<const std::span<const std::byte>> samples,
                                                std::size_t elements) {
  const std::size_t most = kContextValues / elements | 1;
  if (most >= samples.size()) return {samples.begin(), samples.end()};
  std::vector<std::span<const std::byte>> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(samples[i * samples.size() / most]);
  return some;
}

// As many channels in each class, in the order of how large their levels are.
void add_channel_classes(std::span<const std::uint64_t> magnitudes, CodedTensorTable& table) {
  const std::size_t channels = magnitudes.size();
  const std::size_t classes = std::min(kChannelClasses, channels);
  std::vector<std::size_t> order(channels);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t c) { return magnitudes[c]; });
  table.channel_classes = static_cast<std::uint8_t>(classes);
  table.channel_class.resize(channels);
  for (std::size_t i = 0; i < channels; ++i) {
    table.channel_class[order[i]] = static_cast<std::uint8_t>(i * classes / channels);
  }
}

// Centroids and contexts of the levels that are chosen with those that the table has.
void follow_choices(const BoundaryTensor& tensor,
                    std::span<const std::span<const std::byte>> samples, CodedTensorTable& table) {
  codec::CodedValues values(tensor, table);
  const BoundaryTensor shape = codec::coded_shape(tensor, table);
  codec::LevelCoder coder(table, shape.width, shape.channels);
  ContextCounter counter(shape, table);
  LevelMeans means;
  const std::size_t row = values.elements() / values.rows();
  std::vector<std::int16_t> places(row);
  std::vector<std::int8_t> levels(values.elements());
  for (const std::span<const std::byte> sample : samples) {
    codec::RangeEncoder encoder({});  // nobody reads the stream
    coder.start();
    for (std::size_t y = 0; y < values.rows(); ++y) {
      const std::span<const std::int8_t> chosen = coder.next_row();
      values.place_row(sample, y, places);
      coder.choose_and_encode_row(places, encoder);
      for (std::size_t i = 0; i < row; ++i) means.add(chosen[i], places[i] / 256.0);
      std::ranges::copy(chosen, levels.begin() + static_cast<std::ptrdiff_t>(y * row));
    }
    counter.count(levels);
  }
  set_centroids(means, table);
  table.probabilities = counter.probabilities();
}

}  // namespace

ValueScale value_scale(const BoundaryTensor& tensor,
                       std::span<const std::span<const std::byte>> samples) {
  ValueScale scale;
  double squares = 0;
  for (const std::span<const std::byte> sample : samples) {
    for (std::size_t i = 0; i < tensor.elements(); ++i) {
      const double value = value_at(tensor, sample, i);
      squares += value * value;
      scale.largest = std::max(scale.largest, std::abs(value));
      scale.zeros += value == 0 ? 1 : 0;
      scale.has_negative = scale.has_negative || value < 0;
    }
  }
  const double count = static_cast<double>(samples.size()) * static_cast<double>(tensor.elements());
  scale.rms = std::sqrt(squares / std::max(count, 1.0));
  scale.zeros /= std::max(count, 1.0);
  return scale;
}

CodedTensorTable quantizer_table(const BoundaryTensor& tensor,
                                 std::span<const std::span<const std::byte>> samples, double step,
                                 bool has_sign) {
  CodedTensorTable table;
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(step)) + 0x8000;
  table.step = std::clamp(static_cast<std::uint16_t>(bits >> 16), codec::kLeastCodedStep,
                          codec::kMostCodedStep);
  table.rounding = kRounding;
  table.bit_weight = kBitWeight;
  table.has_sign = has_sign;
  const double exact = std::bit_cast<float>(std::uint32_t{table.step} << 16);
  codec::CodedValues values(tensor, table);
  LevelMeans means;
  for (const std::span<const std::byte> sample : samples) {
    const std::vector<std::int8_t> levels = levels_of(values, sample);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      means.add(levels[i], static_cast<double>(value_at(tensor, sample, i)) / exact);
    }
  }
  set_centroids(means, table);
  return table;
}

CodedTensorTable transform_table(const BoundaryTensor& tensor,
                                 std::span<const std::span<const std::byte>> samples,
                                 const CodedDirections& directions, std::size_t side,
                                 std::span<const double> steps) {
  CodedTensorTable table;
  table.step = directions.unit;
  table.rounding = kRounding;
  table.bit_weight = kBitWeight;
  table.has_sign = true;
  codec::CodedTransformTable& transform = table.transform.emplace();
  transform.side = static_cast<std::uint8_t>(side);
  transform.means = directions.means;
  transform.directions = directions.directions;
  const double unit = std::bit_cast<float>(std::uint32_t{table.step} << 16);
  for (const double step : steps) {
    // Sums over a block are `side` times what an orthonormal transform gives.
    const double eighths = std::round(8 * step * static_cast<double>(side) / unit);
    transform.steps.push_back(static_cast<std::uint16_t>(std::clamp(eighths, 1.0, 65535.0)));
  }
  codec::CodedTransform way(table, tensor);
  const std::size_t row = tensor.width * tensor.channels * side;
  std::vector<std::int32_t> coefficients(row);
  std::vector<std::int8_t> levels(row);
  LevelMeans means;
  for (const std::span<const std::byte> sample : samples) {
    for (std::size_t at = 0; at < tensor.elements(); at += row) {
      const auto values = sample.subspan(4 * at, 4 * row);
      way.quantize(values, levels);
      way.coefficients(values, coefficients);
      for (std::size_t i = 0; i < row; ++i) {
        means.add(levels[i], 8.0 * coefficients[i] / transform.steps[i % steps.size()]);
      }
    }
  }
  set_centroids(means, table);
  return table;
}

void add_contexts(const BoundaryTensor& tensor, std::span<const std::span<const std::byte>> all,
                  CodedTensorTable& table) {
  const std::vector<std::span<const std::byte>> samples = some_of(all, tensor.elements());
  codec::CodedValues values(tensor, table);
  const BoundaryTensor shape = codec::coded_shape(tensor, table);
  std::vector<std::uint64_t> magnitudes(shape.channels);
  for (const std::span<const std::byte> sample : samples) {
    const std::vector<std::int8_t> levels = levels_of(values, sample);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      magnitudes[i % shape.channels] += static_cast<std::uint64_t>(std::abs(levels[i]));
    }
  }
  add_channel_classes(magnitudes, table);
  ContextCounter counter(shape, table);
  for (const std::span<const std::byte> sample : samples) {
    counter.count(levels_of(values, sample));
  }
  table.probabilities = counter.probabilities();
  for (int i = 0; i < kChoices && table.bit_weight > 0; ++i) follow_choices(tensor, samples, table);
}

}  // namespace cleave::importer
