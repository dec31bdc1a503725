// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/coded_directions.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "engine/codec/coded_table.h"
#include "engine/importer/coded_statistics.h"

using namespace cleave;
using namespace cleave::importer;

namespace {

// Each position has one value, in all its channels.
std::vector<std::byte> grey_tensor(const codec::BoundaryTensor& tensor) {
  std::vector<float> values(tensor.elements());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i / tensor.channels) - 7;
  }
  std::vector<std::byte> bytes(tensor.bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("a direction along as many equal channels as there may be is one that readers accept") {
  constexpr std::size_t kChannels = codec::kMaxTransformChannels;
  const codec::BoundaryTensor tensor{
      .dtype = fbs::DType::F32, .positions = 16, .width = 4, .channels = kChannels};
  const std::vector<std::byte> grey = grey_tensor(tensor);
  const std::span<const std::byte> samples[] = {grey};
  const CodedDirections found = find_directions(tensor, samples);
  REQUIRE(found.directions.size() == kChannels * kChannels);
  // The first direction is that of all channels together, and all but as long as it was.
  std::int32_t sum = 0;
  for (std::size_t c = 0; c < kChannels; ++c) sum += std::abs(found.directions[c]);
  CHECK(sum < codec::kMostDirectionSum);
  CHECK(sum >= codec::kMostDirectionSum - 2);
  const std::vector<double> steps(kChannels, 1.0);
  codec::CodedQuality quality;
  quality.tensors.push_back(transform_table(tensor, samples, found, 1, steps));
  add_contexts(tensor, samples, quality.tensors[0]);
  const auto read = codec::read_coded_table(codec::write_coded_table({&quality, 1}), {tensor});
  CHECK_MESSAGE(read.is_ok(), read.status().message());
}
