// SPDX-License-Identifier: Apache-2.0
//
// What the literature's formulas ask of a network: for each layer its multiply-adds, its weights,
// what is alive while it runs and what crosses a cut behind it. All f32, one picture, and from
// shapes alone, so that the figures are the same on every machine (what this engine really takes
// depends on its kernels: engine/head_memory.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::study {

struct LayerCost {
  std::uint64_t multiply_adds = 0;     // X: convolutions and fully connected layers
  std::uint64_t weight_bytes = 0;      // kernels and biases
  std::uint64_t activation_bytes = 0;  // the most that is alive while it runs: input and output
  std::uint64_t boundary_bytes = 0;    // U: what crosses a cut behind it
};

struct NetworkTable {
  std::string name;
  std::uint64_t input_bytes = 0;  // U at k = 0
  std::vector<LayerCost> layers;  // L

  // f2: weights of the first `k` layers and the largest activation_bytes among them; 0 at k = 0.
  [[nodiscard]] std::uint64_t head_memory_bytes(std::size_t k) const;
  [[nodiscard]] std::uint64_t multiply_adds() const;  // of all layers
  [[nodiscard]] std::uint64_t weight_bytes() const;
};

// A network of the importer's zoo at 224 x 224, its layers counted as torchvision counts them.
// Errors: those of make_zoo_model().
[[nodiscard]] Result<NetworkTable> zoo_table(const std::string& name);

// A made-up network of `layers` layers, for sweeps over depth. The papers do not say what theirs
// were; this is ours, with SplitMix64(seed `layers`):
// - input 224 x 224 x 3; the last two layers are a global average pool and a fully connected layer
//   with 1000 outputs;
// - the others form five stages of equal length (the first ones a layer longer when that does not
//   come out even); each stage but the first begins with a 2 x 2 max pool of stride 2;
// - a stage's other layers have the width 32, 64, 128, 256, 512 channels of stages 1 to 5, times
//   (24 + draw below 17) / 32 drawn once a layer: three to five quarters of it;
// - a draw below 4 says what each is: 0, 1: convolution 3 x 3; 2: convolution 1 x 1; 3: activation,
//   which keeps its input's channels (the very first layer is a convolution 3 x 3).
// Biases as usual; activations and pools have no weights and no multiply-adds.
// REQUIRES: layers >= 7.
[[nodiscard]] NetworkTable synthetic_table(std::size_t layers);

}  // namespace cleave::study
