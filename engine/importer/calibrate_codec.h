// SPDX-License-Identifier: Apache-2.0
//
// Codec Coded for the cuts of a network: for each cut and allowed disagreement the coarsest step
// that keeps to it, and the tables that make its streams short.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/importer/codec_tables.h"
#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::importer {

// What was found at a cut, for whoever watches.
struct CalibratedCut {
  OpIndex cut = 0;
  std::size_t elements = 0;
  std::vector<CodedFigures> qualities;
};

struct CodecCalibration {
  std::uint32_t variant = 0;
  std::vector<OpIndex> cuts = {};  // ascending, 1 to the number of ops less 1
  // How often the best class may be another one: a level of quality each, ascending, 1 to 8.
  std::vector<std::uint32_t> disagreement_ppm = {};
  unsigned threads = 1;
  std::function<void(const CalibratedCut&)> done = {};  // may be empty
};

// A table for each cut. `pictures` are at model size; each is also taken mirrored, as a picture of
// its own. Steps are an eighth of an octave apart, the finest one that which still clips no value;
// a step keeps to a disagreement when no more answers differ, and when no more are expected of
// three in four sets of other pictures by how the margins of these change; where that is near, on
// the mean with the steps a quarter of an octave finer and coarser. Of values as they are and the
// transforms that apply, each with the coarsest step that keeps to it, the one with the fewest
// bytes is taken. Where none does, large values are clipped: by the coarsest step that keeps to it
// then, or else the one with the fewest other answers: `done` sees by the figures that they are
// more than allowed. A level is that of a smaller disagreement where that one keeps to it with
// fewer bytes. The same arguments give the same tables on the same kernels. Errors: those of
// Weights::create and Executor::prepare, kResourceExhausted, kInvalidArgument (no picture).
[[nodiscard]] Result<std::vector<CodedCutTable>> calibrate_codec(
    const std::shared_ptr<const ModelFile>& model, const CodecCalibration& options,
    std::span<const std::vector<std::uint8_t>> pictures);

}  // namespace cleave::importer
