// SPDX-License-Identifier: Apache-2.0
#include "agent/codec_timing.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "engine/aligned_buffer.h"
#include "engine/codec/codec_factories.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

void fill_like_activations(const codec::BoundaryTensor& tensor, std::span<std::byte> bytes) {
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < tensor.elements(); ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    const int drawn = static_cast<int>(state >> 25) - 32;  // -32..95
    const int value = std::max(drawn, 0);
    if (tensor.is_f32()) {
      const float scaled = static_cast<float>(value) / 32;
      std::memcpy(bytes.data() + i * sizeof(float), &scaled, sizeof(float));
    } else {
      bytes[i] = static_cast<std::byte>(std::clamp(value + tensor.zero_point, -128, 127));
    }
  }
}

}  // namespace

std::uint64_t EncodeRate::ns_for(std::uint64_t bytes) const {
  return std::max<std::uint64_t>(planner::saturating_muldiv_up(ns, bytes, tensor_bytes), 1);
}

std::size_t timed_encode(BoundaryCodec& codec, std::span<const std::span<const std::byte>> tensors,
                         std::span<std::byte> out, std::uint64_t& ns) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t bytes = codec.encode(tensors, out);
  const auto spent = std::chrono::steady_clock::now() - start;
  ns = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::chrono::nanoseconds(spent).count()),
                               1);
  return bytes;
}

Result<EncodeRate> measure_encode_rate(const ModelFile& model, std::uint32_t variant, OpIndex cut,
                                       const CodecChoice& choice) {
  CLEAVE_ASSIGN_OR_RETURN(const auto made, BoundaryCodec::create(model, variant, cut, choice));
  const codec::Boundary boundary = codec::boundary_at(model.header(), variant, cut);
  EncodeRate rate{.ns = UINT64_MAX, .tensor_bytes = 0};
  std::vector<AlignedBuffer> buffers;
  std::vector<std::span<const std::byte>> tensors;
  for (const codec::BoundaryTensor& tensor : boundary) {
    AlignedBuffer& buffer = buffers.emplace_back(tensor.bytes());
    if (buffer.data() == nullptr) {
      return Status(StatusCode::kResourceExhausted, "no memory for timing a codec");
    }
    fill_like_activations(tensor, {buffer.data(), tensor.bytes()});
    tensors.emplace_back(buffer.data(), tensor.bytes());
    rate.tensor_bytes += tensor.bytes();
  }
  AlignedBuffer out(made->max_encoded_bytes());
  if (out.data() == nullptr) {
    return Status(StatusCode::kResourceExhausted, "no memory for timing a codec");
  }
  for (int run = 0; run < 2; ++run) {
    std::uint64_t ns = 0;
    (void)timed_encode(*made, tensors, {out.data(), out.capacity()}, ns);
    rate.ns = std::min(rate.ns, ns);
  }
  return rate;
}

}  // namespace cleave::agent
