// SPDX-License-Identifier: Apache-2.0
//
// One worker alone: what it computes with is what was received.
#include "server/tail_worker.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

// A job of the model's variant 0 with buffers of these sizes.
server::TailJob job_with(const Fixture& fixture, std::uint32_t cut, fbs::Codec codec,
                         const std::vector<std::size_t>& sizes) {
  server::TailJob job;
  job.model = &fixture.server.model();
  job.cut = cut;
  job.codec = codec;
  job.arrived = server::Clock::now();
  auto payload = server::PayloadPool::create(1 << 20)->take(sizes);
  REQUIRE(payload.has_value());
  job.payload = std::move(*payload);
  return job;
}

std::vector<std::size_t> tensor_sizes(const Fixture& fixture, std::uint32_t cut) {
  const auto& tensors = *fixture.server.model().file->header().variants()->Get(0)->tensors();
  std::vector<std::size_t> sizes;
  for (const TensorId id : fixture.cuts().at(cut).boundary_tensors) {
    sizes.push_back(tensor_bytes(*tensors.Get(id)));
  }
  return sizes;
}

}  // namespace

TEST_CASE("raw tensors are computed on where they were received") {
  const Fixture fixture;
  server::TailWorker worker(1, {});
  for (std::uint32_t cut = 1; cut + 1 < fixture.cuts().size(); ++cut) {
    CAPTURE(cut);
    const std::vector<float> values = fixture.boundary(cut, cut);
    const std::vector<std::size_t> sizes = tensor_sizes(fixture, cut);
    server::TailJob job = job_with(fixture, cut, fbs::Codec::Raw, sizes);
    std::span rest = std::as_bytes(std::span(values));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::memcpy(job.payload.buffers()[i].data(), rest.data(), sizes[i]);
      rest = rest.subspan(sizes[i]);
    }
    job.attachment_bytes = values.size() * sizeof(float);
    worker.compute(job);
    REQUIRE_MESSAGE(job.error == fbs::ErrorCode::None, job.error_text);
    CHECK(job.scores == fixture.expected(cut, values));
    const auto inputs = worker.inputs(job);
    REQUIRE(inputs.size() == sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      CHECK(inputs[i].data == job.payload.buffers()[i].data());
    }
  }
}

TEST_CASE("what a codec decodes is computed on where it was decoded to") {
  const Fixture fixture;
  server::TailWorker worker(1, {});
  constexpr std::uint32_t kCut = 1;
  const std::vector<float> values = fixture.boundary(kCut, 1);
  const auto codec =
      BoundaryCodec::create(*fixture.server.model().file, 0, kCut, {.codec = fbs::Codec::Lossless});
  REQUIRE(codec.is_ok());
  const std::vector<std::size_t> tensors = tensor_sizes(fixture, kCut);
  std::vector<std::span<const std::byte>> from;
  std::span rest = std::as_bytes(std::span(values));
  for (const std::size_t size : tensors) {
    from.push_back(rest.first(size));
    rest = rest.subspan(size);
  }
  std::vector<std::size_t> sizes{(*codec)->max_encoded_bytes()};
  sizes.insert(sizes.end(), tensors.begin(), tensors.end());
  server::TailJob job = job_with(fixture, kCut, fbs::Codec::Lossless, sizes);
  job.attachment_bytes = (*codec)->encode(from, {job.payload.buffers()[0].data(), sizes[0]});
  worker.compute(job);
  REQUIRE_MESSAGE(job.error == fbs::ErrorCode::None, job.error_text);
  CHECK(job.scores == fixture.expected(kCut, values));
  const auto inputs = worker.inputs(job);
  REQUIRE(inputs.size() == tensors.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CHECK(inputs[i].data == job.payload.buffers()[i + 1].data());
  }
}

}  // namespace cleave::test
