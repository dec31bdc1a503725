// SPDX-License-Identifier: Apache-2.0
//
// A whole network's scores on a device that may hold only a part of its weights at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "agent/range_runner.h"
#include "engine/aligned_buffer.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

class StretchRunner {
 public:
  // Runs in stretches of ops whose weights stay within `weight_budget_bytes` (at least one op).
  StretchRunner(std::shared_ptr<const ModelFile> model, std::uint32_t variant, unsigned threads,
                std::uint64_t weight_budget_bytes, const WeightsOptions& weights);

  // How many pictures scores() may be given at once so that they and all that it holds meanwhile
  // take at most `room_bytes`, the pictures' pixels included; 0 when there is no room for one.
  // Errors: as plan_arena_bytes.
  [[nodiscard]] Result<std::size_t> pictures_within(std::uint64_t room_bytes) const;

  // The network's output for u8 pixels at model size, in the model's color order, of any number of
  // pictures, one behind the other; their scores likewise. All of them go through one stretch
  // before the next, whose weights are so made once a call; when the weights are one stretch, they
  // stay until release(). `progress` (may be empty) is told the ops that were run after each
  // picture's stretch. REQUIRES: `pixels` is of whole pictures.
  // Errors: those of Weights::create and Executor::prepare.
  [[nodiscard]] Result<std::vector<float>> scores(
      std::span<const std::uint8_t> pixels, const std::function<void(std::size_t)>& progress = {});

  // Frees weights and executor, and gives their memory back to the system.
  void release();

 private:
  [[nodiscard]] Result<std::uint64_t> stretch_bytes(OpRange range) const;
  Status run_stretch(OpRange range, std::span<const std::uint8_t> pixels, AlignedBuffer& crossing,
                     const std::function<void(std::size_t)>& progress);
  void fill_inputs(std::size_t picture, OpRange range, std::span<const std::uint8_t> pixels,
                   const AlignedBuffer& crossing);

  std::shared_ptr<const ModelFile> model_;
  std::uint32_t index_;
  const fbs::Variant& variant_;
  Preference preference_;
  std::size_t pixel_bytes_;  // of one picture
  std::vector<OpRange> stretches_;
  RangeRunner runner_;
};

}  // namespace cleave::agent
