// SPDX-License-Identifier: Apache-2.0
#include "agent/stretch_runner.h"

#include <malloc.h>

#include <algorithm>
#include <string>

#include "agent/edge_profile.h"
#include "engine/cuts.h"
#include "engine/executor.h"
#include "engine/head_memory.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

std::size_t bytes_of(std::span<const BoundaryBuffer> buffers) {
  std::size_t bytes = 0;
  for (const BoundaryBuffer& buffer : buffers) bytes += buffer.bytes();
  return bytes;
}

// What is held while the op is packed, beside what is made: the weights as they are in the file,
// and f16 ones widened to f32. Those that are read in the file are not packed; of depthwise ones,
// which are packed once an executor, it is little.
std::uint64_t packing_bytes(const fbs::Variant& variant, OpIndex index, Preference preference) {
  if (weight_cache_bytes(variant, index, preference) == 0) return 0;
  const fbs::Op& op = *variant.ops()->Get(index);
  const bool is_f16 = op.kernel() != nullptr && op.kernel()->dtype() == fbs::DType::F16;
  return weight_bytes(op) + (is_f16 ? 2 * op.kernel()->bytes() : 0);
}

}  // namespace

StretchRunner::StretchRunner(std::shared_ptr<const ModelFile> model, std::uint32_t variant,
                             unsigned threads, std::uint64_t weight_budget_bytes,
                             const WeightsOptions& weights)
    : model_(std::move(model)),
      index_(variant),
      variant_(*model_->header().variants()->Get(variant)),
      preference_(weights.preference),
      pixel_bytes_(element_count(*variant_.tensors()->Get(variant_.input())->shape())),
      runner_(model_, variant, {.threads = threads}, weights) {
  for (OpIndex op = 0; op < variant_.ops()->size(); op = stretches_.back().last) {
    stretches_.push_back(next_stretch(variant_, op, weight_budget_bytes, preference_));
  }
}

// The arena comes after all packing.
Result<std::uint64_t> StretchRunner::stretch_bytes(OpRange range) const {
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t arena,
                          plan_arena_bytes(variant_, range, 1, OutputPlace::kArena, preference_));
  std::uint64_t bytes = kHeadOtherBytes;
  std::uint64_t packing = 0;
  for (OpIndex op = range.first; op < range.last; ++op) {
    bytes +=
        weight_ram_bytes(variant_, op, preference_) + operator_bytes(variant_, op, preference_);
    packing = std::max(packing, packing_bytes(variant_, op, preference_));
  }
  return bytes + std::max(arena, packing);
}

Result<std::size_t> StretchRunner::pictures_within(std::uint64_t room_bytes) const {
  const std::vector<Cut> cuts = find_cuts(model_->header(), index_);
  std::uint64_t pictures = SIZE_MAX;
  for (const OpRange range : stretches_) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t held, stretch_bytes(range));
    const std::uint64_t entering = range.first == 0 ? 0 : cuts[range.first].boundary_bytes;
    const std::uint64_t each = pixel_bytes_ + entering + cuts[range.last].boundary_bytes;
    pictures = std::min(pictures, (room_bytes - std::min(held, room_bytes)) / each);
  }
  return static_cast<std::size_t>(pictures);
}

void StretchRunner::release() {
  runner_.release();
  // The heap would keep the pieces resident beside what comes next.
  ::malloc_trim(0);
}

// What leaves one stretch is, tensor for tensor, what enters the next.
void StretchRunner::fill_inputs(std::size_t picture, OpRange range,
                                std::span<const std::uint8_t> pixels,
                                const AlignedBuffer& crossing) {
  const auto inputs = runner_.executor().inputs();
  if (range.first == 0) {
    const fbs::Shape& shape = *variant_.tensors()->Get(variant_.input())->shape();
    normalize(pixels.subspan(picture * pixel_bytes_, pixel_bytes_),
              *model_->header().preprocessing(), shape.channels(), inputs[0].f32());
    return;
  }
  const std::byte* from = crossing.data() + picture * bytes_of(inputs);
  for (const BoundaryBuffer& input : inputs) {
    std::copy_n(from, input.bytes(), input.as_bytes().data());
    from += input.bytes();
  }
}

Status StretchRunner::run_stretch(OpRange range, std::span<const std::uint8_t> pixels,
                                  AlignedBuffer& crossing,
                                  const std::function<void(std::size_t)>& progress) {
  // Those of the stretch before are not held beside these.
  if (runner_.must_pack(range)) release();
  CLEAVE_RETURN_IF_ERROR(runner_.prepare(range));
  Executor& executor = runner_.executor();
  const std::size_t pictures = pixels.size() / pixel_bytes_;
  const std::size_t leaving_bytes = pictures * bytes_of(executor.outputs());
  AlignedBuffer leaving(leaving_bytes);
  if (leaving.data() == nullptr) {
    return {StatusCode::kResourceExhausted,
            "no memory for the " + std::to_string(leaving_bytes) + " bytes between two stretches"};
  }
  std::byte* to = leaving.data();
  for (std::size_t i = 0; i < pictures; ++i) {
    fill_inputs(i, range, pixels, crossing);
    CLEAVE_RETURN_IF_ERROR(executor.run());
    for (const BoundaryBuffer& output : executor.outputs()) {
      to = std::ranges::copy(output.as_bytes(), to).out;
    }
    if (progress) progress(range.last - range.first);
  }
  crossing = std::move(leaving);
  return Status::ok();
}

Result<std::vector<float>> StretchRunner::scores(std::span<const std::uint8_t> pixels,
                                                 const std::function<void(std::size_t)>& progress) {
  AlignedBuffer crossing;
  for (const OpRange range : stretches_) {
    CLEAVE_RETURN_IF_ERROR(run_stretch(range, pixels, crossing, progress));
  }
  const float* values = crossing.f32();
  return std::vector<float>(values, values + crossing.capacity() / sizeof(float));
}

}  // namespace cleave::agent
