// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/coded_directions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "engine/codec/coded_table.h"

namespace cleave::importer {
namespace {

constexpr std::size_t kPositions = 20'000;
// What the integers of a transform hold, and how much larger pictures to come may be.
constexpr double kMostUnits = 4095, kMostTurned = 8191, kRoom = 1.25;

// Calls `take(position)` with the channels of every `every`-th position of all samples.
template <typename Take>
void for_positions(const codec::BoundaryTensor& tensor,
                   std::span<const std::span<const std::byte>> samples, std::size_t every,
                   const Take& take) {
  std::vector<float> position(tensor.channels);
  for (std::size_t i = 0; i < samples.size() * tensor.positions; i += every) {
    const std::size_t from = i % tensor.positions * tensor.channels * 4;
    std::memcpy(position.data(), samples[i / tensor.positions].data() + from, 4 * tensor.channels);
    for (float& value : position) value = std::isfinite(value) ? value : 0;
    take(position);
  }
}

// A symmetric matrix's eigenvectors, as rows, and its eigenvalues, by rotations that each make one
// element 0 (Jacobi).
class Eigenvectors {
 public:
  Eigenvectors(std::vector<double> matrix, std::size_t side)
      : side_(side), matrix_(std::move(matrix)), rows_(side * side) {
    for (std::size_t i = 0; i < side; ++i) rows_[i * side + i] = 1;
    constexpr int kMostSweeps = 12;
    for (int sweep = 0; sweep < kMostSweeps && !is_diagonal(); ++sweep) {
      for (std::size_t p = 0; p < side; ++p) {
        for (std::size_t q = p + 1; q < side; ++q) rotate(p, q);
      }
    }
  }

  [[nodiscard]] double value(std::size_t i) const { return matrix_[i * side_ + i]; }
  [[nodiscard]] std::span<const double> vector(std::size_t i) const {
    return std::span(rows_).subspan(i * side_, side_);
  }

 private:
  [[nodiscard]] bool is_diagonal() const {
    double off = 0, on = 0;
    for (std::size_t i = 0; i < matrix_.size(); ++i) {
      (i % (side_ + 1) == 0 ? on : off) += matrix_[i] * matrix_[i];
    }
    return off <= 1e-12 * on;
  }

  void rotate(std::size_t p, std::size_t q) {
    const double off = matrix_[p * side_ + q];
    if (std::abs(off) < 1e-300) return;
    const double ratio = (value(q) - value(p)) / (2 * off);
    const double tangent = (ratio >= 0 ? 1 : -1) / (std::abs(ratio) + std::sqrt(ratio * ratio + 1));
    const double cosine = 1 / std::sqrt(tangent * tangent + 1);
    turn(matrix_, p * side_, q * side_, 1, cosine, tangent * cosine);
    turn(matrix_, p, q, side_, cosine, tangent * cosine);
    turn(rows_, p * side_, q * side_, 1, cosine, tangent * cosine);
  }

  void turn(std::vector<double>& of, std::size_t first, std::size_t second, std::size_t apart,
            double cosine, double sine) const {
    for (std::size_t i = 0; i < side_; ++i, first += apart, second += apart) {
      const double x = of[first], y = of[second];
      of[first] = cosine * x - sine * y;
      of[second] = sine * x + cosine * y;
    }
  }

  std::size_t side_;
  std::vector<double> matrix_, rows_;
};

struct Moments {
  std::vector<double> means, covariance;
};

Moments moments_of(const codec::BoundaryTensor& tensor,
                   std::span<const std::span<const std::byte>> samples, std::size_t every) {
  const std::size_t channels = tensor.channels;
  Moments moments{std::vector<double>(channels), std::vector<double>(channels * channels)};
  double count = 0;
  for_positions(tensor, samples, every, [&](std::span<const float> position) {
    for (std::size_t c = 0; c < channels; ++c) moments.means[c] += position[c];
    ++count;
  });
  for (double& mean : moments.means) mean /= count;
  std::vector<double> off(channels);
  for_positions(tensor, samples, every, [&](std::span<const float> position) {
    for (std::size_t c = 0; c < channels; ++c) off[c] = position[c] - moments.means[c];
    for (std::size_t c = 0; c < channels; ++c) {
      double* row = &moments.covariance[c * channels];
      for (std::size_t d = 0; d < channels; ++d) row[d] += off[c] * off[d];
    }
  });
  return moments;
}

// With which every value seen, less its mean, and every position turned, has room.
std::uint16_t unit_for(const codec::BoundaryTensor& tensor,
                       std::span<const std::span<const std::byte>> samples,
                       std::span<const double> means) {
  double largest = 1e-30;
  for_positions(tensor, samples, 1, [&](std::span<const float> position) {
    double squares = 0;
    for (std::size_t c = 0; c < means.size(); ++c) {
      const double off = position[c] - means[c];
      squares += off * off;
      largest = std::max(
          {largest, std::abs(off) / kMostUnits, std::abs(double{position[c]}) / (2 * kMostTurned)});
    }
    largest = std::max(largest, std::sqrt(squares) / kMostTurned);
  });
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(kRoom * largest)) + 0x8000;
  return std::clamp(static_cast<std::uint16_t>(bits >> 16), codec::kLeastCodedStep,
                    codec::kMostCodedStep);
}

// Of 256 channels magnitudes come to the bound of a table where all are alike, and beyond it where
// most were rounded up: then each gives a unit in turn.
void keep_below_bound(std::span<std::int16_t> directions, std::size_t first, std::size_t apart,
                      std::size_t channels) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < channels; ++i) sum += std::abs(directions[first + i * apart]);
  for (std::size_t i = 0; i < channels && sum >= codec::kMostDirectionSum; ++i) {
    std::int16_t& one = directions[first + i * apart];
    if (one == 0) continue;
    one = static_cast<std::int16_t>(one > 0 ? one - 1 : one + 1);
    --sum;
  }
}

}  // namespace

CodedDirections find_directions(const codec::BoundaryTensor& tensor,
                                std::span<const std::span<const std::byte>> samples) {
  const std::size_t channels = tensor.channels;
  const std::size_t every =
      std::max<std::size_t>(samples.size() * tensor.positions / kPositions, 1);
  Moments moments = moments_of(tensor, samples, every);
  const Eigenvectors found(std::move(moments.covariance), channels);
  std::vector<std::size_t> order(channels);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return found.value(i); });
  CodedDirections result{.unit = unit_for(tensor, samples, moments.means)};
  const double unit = std::bit_cast<float>(std::uint32_t{result.unit} << 16);
  for (const double mean : moments.means) {
    result.means.push_back(static_cast<std::int16_t>(std::lround(mean / unit)));
  }
  for (const std::size_t i : order) {
    for (const double along : found.vector(i)) {
      result.directions.push_back(static_cast<std::int16_t>(std::lround(along * (1 << 14))));
    }
  }
  for (std::size_t i = 0; i < channels; ++i) {
    keep_below_bound(result.directions, i * channels, 1, channels);
    keep_below_bound(result.directions, i, channels, channels);
  }
  return result;
}

}  // namespace cleave::importer
