// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/synthetic_picture.h"

#include <algorithm>
#include <cmath>

#include "engine/importer/zoo_random.h"

namespace cleave::importer {
namespace {

// Random numbers on a square lattice, linear in between.
class Octave {
 public:
  Octave(SplitMix64& random, std::uint32_t height, std::uint32_t width, std::uint32_t spacing)
      : spacing_(spacing), columns_(width / spacing + 2) {
    const std::size_t rows = height / spacing + 2;
    for (std::size_t i = 0; i < rows * columns_; ++i) nodes_.push_back(random.normal());
  }

  [[nodiscard]] double at(std::uint32_t y, std::uint32_t x) const {
    const double down = static_cast<double>(y % spacing_) / spacing_;
    const double right = static_cast<double>(x % spacing_) / spacing_;
    const double* node = &nodes_[y / spacing_ * columns_ + x / spacing_];
    const double above = node[0] + (node[1] - node[0]) * right;
    const double below = node[columns_] + (node[columns_ + 1] - node[columns_]) * right;
    return above + (below - above) * down;
  }

 private:
  std::uint32_t spacing_;
  std::size_t columns_;
  std::vector<double> nodes_;
};

}  // namespace

std::vector<std::uint8_t> synthetic_picture(const fbs::Shape& shape, std::uint64_t seed) {
  constexpr double kMiddle = 127.5;
  constexpr double kContrast = 48;
  constexpr double kFall = 0.6;  // from one octave to the next finer one
  SplitMix64 random(seed);
  std::vector<std::uint8_t> pixels(element_count(shape));
  for (std::uint32_t c = 0; c < shape.channels(); ++c) {
    std::vector<Octave> octaves;
    for (std::uint32_t spacing = 64; spacing >= 1; spacing /= 2) {
      octaves.emplace_back(random, shape.height(), shape.width(), spacing);
    }
    for (std::uint32_t y = 0; y < shape.height(); ++y) {
      for (std::uint32_t x = 0; x < shape.width(); ++x) {
        double value = kMiddle;
        double amplitude = kContrast;
        for (const Octave& octave : octaves) {
          value += amplitude * octave.at(y, x);
          amplitude *= kFall;
        }
        pixels[(std::size_t{y} * shape.width() + x) * shape.channels() + c] =
            static_cast<std::uint8_t>(std::clamp(std::nearbyint(value), 0.0, 255.0));
      }
    }
  }
  return pixels;
}

}  // namespace cleave::importer
