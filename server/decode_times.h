// SPDX-License-Identifier: Apache-2.0
//
// What decoding takes on this server, for each codec at each cut: agents plan with it.
#pragma once

#include <chrono>

#include "schemas/profile_reader.h"
#include "schemas/status.h"
#include "server/model_store.h"

namespace cleave::server {

// How long all measuring of one variant may take before the rest is estimated.
inline constexpr std::chrono::milliseconds kDecodeTimingBudget{300};

// Adds to `profile` a CodedBytes of JPEGs at model size, of quality 0 as it stands for any, where
// the model's input is a picture; and one of each codec but Raw, and each of its levels, with
// decode_ns at each cut where a layer ends. A made-up picture runs through the network; what
// crosses each cut is encoded and decoded on one thread. Once the budget is spent, a codec that was
// measured before counts the same time for each element. Bytes are the most that the codec can
// make. A model so large that its times would crowd the Welcome has none of its last variants.
// REQUIRES: `variant` is `index` of `model`, with its weights and codecs. Errors: those of
// Executor::prepare and BoundaryCodec::create.
[[nodiscard]] Status add_decode_times(const ModelFile& model, std::uint32_t index,
                                      const LoadedVariant& variant, ProfileData& profile);

}  // namespace cleave::server
