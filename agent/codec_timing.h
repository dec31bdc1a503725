// SPDX-License-Identifier: Apache-2.0
//
// How fast this device encodes where no profile says it: one codec at one cut, timed on made-up
// tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct EncodeRate {
  std::uint64_t ns = 0;
  std::uint64_t tensor_bytes = 1;
  // At least 1: 0 says that a time is not known.
  [[nodiscard]] std::uint64_t ns_for(std::uint64_t bytes) const;
};

// A quarter of zeros and values like those behind a ReLU: codecs take about as long as on a
// picture's. Two encodings, the faster one counts. Errors: those of BoundaryCodec::create(),
// kResourceExhausted.
[[nodiscard]] Result<EncodeRate> measure_encode_rate(const ModelFile& model, std::uint32_t variant,
                                                     OpIndex cut, const CodecChoice& choice);

// Encodes once into `out` and gives the bytes; `ns` is what it took, at least 1.
std::size_t timed_encode(BoundaryCodec& codec, std::span<const std::span<const std::byte>> tensors,
                         std::span<std::byte> out, std::uint64_t& ns);

}  // namespace cleave::agent
