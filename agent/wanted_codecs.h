// SPDX-License-Identifier: Apache-2.0
//
// --codec and --jpeg-quality: what they ask for, and what a plan may then choose among.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "agent/command_options.h"
#include "agent/cut_codecs.h"
#include "agent/model_jpeg.h"
#include "engine/codec/boundary_codec.h"

namespace cleave::agent {

// --codec of tensors: one that is named (with jpeg:N raw), or nothing for auto. Errors:
// kInvalidArgument (another name; auto with a fixed split; a lossy one with --disagreement).
[[nodiscard]] Result<std::optional<CodecChoice>> wanted_codec(const CommandOptions& options);
// --jpeg-quality, or that of --codec jpeg:N; nothing without. Errors: kInvalidArgument (two of them
// that differ; one with --disagreement, but for --codec auto; a --codec that cannot be read).
[[nodiscard]] Result<std::optional<std::uint8_t>> wanted_jpeg_quality(
    const CommandOptions& options);
// The qualities of JPEGs at model size that a plan may look at: the one that is wanted, else with
// --codec auto kModelJpegQualities, else none. Errors: as above.
[[nodiscard]] Result<std::vector<std::uint8_t>> jpeg_qualities_to_plan(
    const CommandOptions& options);
// The codecs that may cross a cut of `variant`, as --codec and --jpeg-quality say. `profile` is the
// device's; of a split that is fixed it is not needed. `rates` are for auto and JPEGs, where the
// profile does not time them; `jpegs` are sizes of the pictures at hand. Errors: as wanted_codec(),
// wanted_jpeg_quality() and CutCodecs::of_one().
[[nodiscard]] Result<CutCodecs> codecs_to_plan(const CommandOptions& options,
                                               const ModelFile& model, std::uint32_t variant,
                                               const ProfileData* profile, const EncodeRates* rates,
                                               std::span<const ModelJpegBytes> jpegs = {});
// What `rates` of codecs_to_plan() must be for these options. The device is as fast as `now` says.
// Errors: those of wanted_codec() and measure_encode_rates().
[[nodiscard]] Result<EncodeRates> encode_rates_to_plan(const CommandOptions& options,
                                                       const ModelFile& model,
                                                       std::uint32_t variant,
                                                       const ProfileData* profile,
                                                       const DeviceSpeed& now);

}  // namespace cleave::agent
