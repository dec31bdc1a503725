// SPDX-License-Identifier: Apache-2.0
#include "server/attachment_sample.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

namespace cleave::test {
namespace {

using server::AttachmentSample;

std::uint64_t sample_of(std::span<const std::byte> bytes, std::size_t step = SIZE_MAX) {
  AttachmentSample sample(bytes.size());
  while (!bytes.empty()) {
    const auto next = bytes.first(std::min(step, bytes.size()));
    sample.add(next);
    bytes = bytes.subspan(next.size());
  }
  return sample.value();
}

// As ReLU leaves them: nine of ten are zero.
std::vector<float> activations(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    if (random() % 10 == 0) value = static_cast<float>(random() % 1'000) / 100.0F;
  }
  return values;
}

TEST_CASE("a sample does not depend on the pieces in which the bytes came") {
  const std::vector<float> values = activations(30'000, 1);
  const auto bytes = std::as_bytes(std::span(values));
  const std::uint64_t whole = sample_of(bytes);
  for (const std::size_t step : {1, 7, 117, 118, 4'096, 65'536}) {
    CHECK(sample_of(bytes, step) == whole);
  }
}

TEST_CASE("pictures are told apart, however small or empty their activations are") {
  for (const std::size_t count : {300, 1'280, 30'000}) {
    std::set<std::uint64_t> seen;
    for (unsigned seed = 1; seed <= 200; ++seed) {
      const std::vector<float> values = activations(count, seed);
      seen.insert(sample_of(std::as_bytes(std::span(values))));
    }
    CHECK(seen.size() == 200);
  }
}

TEST_CASE("of a small attachment every byte counts") {
  std::vector<std::byte> bytes(500);
  const std::uint64_t plain = sample_of(bytes);
  for (std::byte& byte : bytes) {
    byte = std::byte{1};
    CHECK(sample_of(bytes) != plain);
    byte = std::byte{0};
  }
}

}  // namespace
}  // namespace cleave::test
