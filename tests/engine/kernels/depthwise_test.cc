// SPDX-License-Identifier: Apache-2.0
//
// Every implementation against sums in 64 bits, on channels that fill no block, at the extremes of
// int8, and the same bytes from all.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "engine/kernels/dispatch.h"

namespace cleave::test {
namespace {

using kernels::kDepthwiseChannels;
using kernels::S8DepthwiseLayer;

// Bytes that a kernel may read behind the last channel of a tap.
constexpr std::size_t kReadBehind = kDepthwiseChannels - 1;

struct Problem {
  std::size_t channels, taps, pixels, step;
  bool extremes = false;
};

class Depthwise {
 public:
  explicit Depthwise(const Problem& problem) : problem_(problem), random_(problem.channels) {
    const std::size_t filled =
        (problem.channels + kDepthwiseChannels - 1) / kDepthwiseChannels * kDepthwiseChannels;
    pairs_ = (problem.taps + 1) / 2;
    weights_.resize(filled * pairs_ * 2);
    bias_.resize(filled);
    scale_.resize(filled);
    for (std::size_t tap = 0; tap < 2 * pairs_; ++tap) {
      inputs_.emplace_back((problem.pixels - 1) * problem.step + problem.channels + kReadBehind);
      for (std::int8_t& value : inputs_.back()) value = any();
    }
    for (std::size_t c = 0; c < problem.channels; ++c) {
      bias_[c] = static_cast<std::int32_t>(random_() % 20001) - 10000;
      scale_[c] = static_cast<float>(random_() % 1000 + 1) * 1e-5F;
      for (std::size_t tap = 0; tap < problem.taps; ++tap) weight(c, tap) = any();
    }
  }

  [[nodiscard]] std::vector<std::int8_t> run(kernels::S8Depthwise* kernel) const {
    std::vector<const std::int8_t*> taps;
    for (const auto& input : inputs_) taps.push_back(input.data());
    const std::size_t bytes = problem_.pixels * problem_.channels;
    std::vector<std::int8_t> output(bytes + kDepthwiseChannels, kUntouched);
    kernel(layer(), taps.data(), problem_.step, problem_.pixels, output.data());
    CHECK(std::all_of(output.begin() + static_cast<std::ptrdiff_t>(bytes), output.end(),
                      [](std::int8_t value) { return value == kUntouched; }));
    output.resize(bytes);
    return output;
  }

  [[nodiscard]] std::vector<std::int8_t> expected() {
    std::vector<std::int8_t> output;
    for (std::size_t pixel = 0; pixel < problem_.pixels; ++pixel) {
      for (std::size_t c = 0; c < problem_.channels; ++c) {
        std::int64_t sum = bias_[c];
        for (std::size_t tap = 0; tap < problem_.taps; ++tap) {
          sum += std::int64_t{weight(c, tap)} * inputs_[tap][pixel * problem_.step + c];
        }
        const float scaled = static_cast<float>(sum) * scale_[c];
        const double rounded = std::nearbyint(static_cast<double>(scaled)) + kZeroPoint;
        output.push_back(static_cast<std::int8_t>(std::clamp<double>(rounded, kLeast, kMost)));
      }
    }
    return output;
  }

 private:
  static constexpr std::int8_t kUntouched = 77;
  static constexpr std::int32_t kZeroPoint = -7;
  static constexpr std::int32_t kLeast = -120;
  static constexpr std::int32_t kMost = 101;

  std::int8_t any() {
    if (problem_.extremes) return random_() % 2 == 0 ? -128 : 127;
    return static_cast<std::int8_t>(random_());
  }

  std::int16_t& weight(std::size_t c, std::size_t tap) {
    const std::size_t block = c / kDepthwiseChannels * pairs_ + tap / 2;
    return weights_[(block * kDepthwiseChannels + c % kDepthwiseChannels) * 2 + tap % 2];
  }

  [[nodiscard]] S8DepthwiseLayer layer() const {
    return {.channels = problem_.channels,
            .tap_pairs = pairs_,
            .weights = weights_.data(),
            .bias = bias_.data(),
            .scale = scale_.data(),
            .zero_point = kZeroPoint,
            .minimum = kLeast,
            .maximum = kMost};
  }

  Problem problem_;
  std::mt19937 random_;
  std::size_t pairs_ = 0;
  std::vector<std::vector<std::int8_t>> inputs_;
  std::vector<std::int16_t> weights_;
  std::vector<std::int32_t> bias_;
  std::vector<float> scale_;
};

TEST_CASE("int8 depthwise kernels: the sums, rounded to the nearest, clamped") {
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    if (table.s8_depthwise == nullptr) continue;
    CAPTURE(table.name);
    for (const std::size_t channels : {1U, 7U, 15U, 16U, 17U, 31U, 32U, 33U, 96U}) {
      for (const std::size_t taps : {1U, 2U, 9U, 25U, 49U}) {
        for (const std::size_t pixels : {1U, 2U, 5U}) {
          Depthwise depthwise({channels, taps, pixels, 2 * channels});
          CHECK(depthwise.run(table.s8_depthwise) == depthwise.expected());
        }
      }
    }
    Depthwise extremes({40, 49, 3, 40, true});
    CHECK(extremes.run(table.s8_depthwise) == extremes.expected());
  }
}

}  // namespace
}  // namespace cleave::test
