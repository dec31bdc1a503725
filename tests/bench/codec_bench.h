// SPDX-License-Identifier: Apache-2.0
//
// What each codec makes of each cut of a network, on photos that calibrated nothing: bytes, what
// the network then answers, and the speed of one core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "schemas/status.h"
#include "tests/bench/codec_photos.h"

namespace cleave::bench {

struct CodecLine {
  std::string codec = {};
  std::size_t elements = 0;  // of f32 or int8, or of u8 pixels
  double mean_bytes = 0;
  std::size_t pictures = 0;
  std::size_t agreeing = 0;  // same best class as without a codec
  std::size_t right = 0;     // best class is the label
  double encode_per_s = 0;   // elements a second, the median of the pictures; 0: not measured
  double decode_per_s = 0;
  [[nodiscard]] double bits() const { return 8 * mean_bytes / static_cast<double>(elements); }
};

struct CodecCut {
  std::uint32_t layers_on_device = 0;
  OpIndex op_boundary = 0;
  std::string layer = {};
  std::string shape = {};  // "56x56x24", with + between the tensors
  double zeros = 0;        // share of the values
  std::vector<CodecLine> lines = {};
};

struct CodecReport {
  std::string network = {};
  std::vector<std::uint32_t> disagreement_ppm = {};  // allowed of "Coded:0", "Coded:1", ...
  std::size_t right = 0;                             // of the evaluation photos, without any codec
  std::vector<CodecLine> pictures = {};              // u8, and JPEG at model size
  std::vector<CodecCut> cuts = {};
};

// Which of a network's splits.
struct CodecCuts {
  std::size_t most = 1000;         // evenly spaced ones
  std::vector<OpIndex> only = {};  // at these ops; empty: any
};

// Calibrates on the one photos and measures on the others. Prints a line a cut on standard error
// when it is done.
[[nodiscard]] Result<CodecReport> bench_codecs(const CodecNetwork& network, const CodecCuts& cuts);

}  // namespace cleave::bench
