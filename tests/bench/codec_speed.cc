// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/codec_speed.h"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>

#include "engine/codec/codec_factories.h"
#include "engine/importer/coded_statistics.h"

namespace cleave::bench {
namespace {

using codec::BoundaryTensor;

constexpr int kRounds = 9;
constexpr std::size_t kElementsARound = 400'000;
constexpr std::uint64_t kLinks = 500'000;

// A multiplication and an addition, each of which waits for the one before, take so many cycles on
// every core that we know: 3 + 1. Another thread on the same core makes them no slower.
constexpr double kCyclesALink = 4;

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double cycles_per_s() {
  // As nobody but the run knows them: else the compiler may know the end.
  volatile std::uint64_t first = 1;
  std::uint64_t value = first;
  const double start = thread_seconds();
  for (std::uint64_t i = 0; i < kLinks; ++i) value = value * 0x5851F42D4C957F2D + i;
  first = value;
  return kCyclesALink * static_cast<double>(kLinks) / (thread_seconds() - start);
}

// Of variance about 1.
std::vector<std::byte> noise(const BoundaryTensor& tensor, std::uint32_t seed) {
  std::minstd_rand random(seed + 1);
  std::vector<std::byte> bytes(tensor.bytes());
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    int sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int>(random() / 8 % 2001) - 1000;
    const float value = static_cast<float>(sum) / 1155;
    std::memcpy(bytes.data() + at, &value, 4);
  }
  return bytes;
}

Status measure(BoundaryCodec& codec, const BoundaryTensor& tensor, SpeedLine& line) {
  const std::vector<std::byte> sent = noise(tensor, 100);
  std::vector<std::byte> stream(codec.max_encoded_bytes()), arrived(tensor.bytes());
  const std::span<const std::byte> from[] = {sent};
  const std::span<std::byte> to[] = {arrived};
  const std::size_t times = std::max<std::size_t>(kElementsARound / tensor.elements(), 1);
  const auto elements = static_cast<double>(times * tensor.elements());
  double most_cycles_per_s = 0;
  for (int round = 0; round < kRounds; ++round) {
    most_cycles_per_s = std::max(most_cycles_per_s, cycles_per_s());
    std::size_t length = 0;
    Status decoded;
    const double start = thread_seconds();
    for (std::size_t i = 0; i < times; ++i) length = codec.encode(from, stream);
    const double between = thread_seconds();
    for (std::size_t i = 0; i < times && decoded.is_ok(); ++i) {
      decoded = codec.decode(std::span(stream).first(length), to);
    }
    const double end = thread_seconds();
    if (!decoded.is_ok()) return {StatusCode::kInternal, line.form + ": " + decoded.message()};
    line.encode_per_s = std::max(line.encode_per_s, elements / (between - start));
    line.decode_per_s = std::max(line.decode_per_s, elements / (end - between));
  }
  line.encode_cycles = most_cycles_per_s / line.encode_per_s;
  line.decode_cycles = most_cycles_per_s / line.decode_per_s;
  return Status::ok();
}

BoundaryTensor tensor_of(std::size_t side, std::size_t channels) {
  return {.dtype = fbs::DType::F32, .positions = side * side, .width = side, .channels = channels};
}

// `block_side`: of the blocks that are turned; 0: values as they are.
codec::Created coded_for(const BoundaryTensor& tensor, std::size_t block_side) {
  std::vector<std::vector<std::byte>> tensors;
  for (std::uint32_t i = 0; i < 6; ++i) tensors.push_back(noise(tensor, i));
  const std::vector<std::span<const std::byte>> samples(tensors.begin(), tensors.end());
  // As coarse as the values are large: two bits an element, as much as a cut needs.
  constexpr double kStep = 1;
  const std::vector<double> steps(block_side * block_side * tensor.channels, kStep);
  codec::CodedTensorTable table =
      block_side == 0
          ? importer::quantizer_table(tensor, samples, kStep, true)
          : importer::transform_table(tensor, samples, importer::find_directions(tensor, samples),
                                      block_side, steps);
  importer::add_contexts(tensor, samples, table);
  return codec::make_coded_codec({tensor}, {.figures = {}, .tensors = {table}});
}

}  // namespace

Result<std::vector<SpeedLine>> bench_speed() {
  // What the aims (75 and 20 million elements a second) are on a core of 2.5 GHz.
  constexpr double kInt8Cycles = 33, kCodedCycles = 125;
  const BoundaryTensor tiny = tensor_of(1, 128), large = tensor_of(56, 24),
                       middle = tensor_of(28, 24);
  std::vector<SpeedLine> lines;
  for (const BoundaryTensor& tensor : {tiny, large}) {
    SpeedLine& line = lines.emplace_back();
    line.form = "int8 of " + std::to_string(tensor.elements());
    line.most_cycles = kInt8Cycles;
    CLEAVE_ASSIGN_OR_RETURN(const auto codec, codec::make_int8_codec({tensor}));
    CLEAVE_RETURN_IF_ERROR(measure(*codec, tensor, line));
  }
  for (const std::size_t block_side : {0, 1, 2, 4}) {
    SpeedLine& line = lines.emplace_back();
    const std::string side = std::to_string(block_side);
    line.form = "coded of " + std::to_string(middle.elements()) +
                (block_side == 0 ? ", as they are" : ", turned, " + side + " x " + side);
    line.most_cycles = kCodedCycles;
    CLEAVE_ASSIGN_OR_RETURN(const auto codec, coded_for(middle, block_side));
    CLEAVE_RETURN_IF_ERROR(measure(*codec, middle, line));
  }
  return lines;
}

}  // namespace cleave::bench
