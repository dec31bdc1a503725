// SPDX-License-Identifier: Apache-2.0
//
// Model files that are meant to harm, one kind a test case: whatever is claimed, opening gives the
// error that names it. Hashes and lengths of the preamble are made right again unless they are what
// is wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "schemas/model_preamble.h"
#include "schemas/op_shape.h"
#include "tests/schemas/spoiled_model.h"
#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

using test::check_spoiled;
using test::ModelBuilder;
using test::Spoil;
using Bytes = std::vector<std::byte>;

constexpr ModelOpenOptions kVerify{.verify_segments = true};
constexpr std::uint64_t k2To40 = std::uint64_t{1} << 40;

// Segments of 98 and 65 KiB, so that there is room to overlap on a 64 KiB boundary.
ModelBuilder large_segments_model() {
  ModelBuilder builder({32, 32, 3});
  const test::Tensor hidden = builder.fully_connected(builder.input(), 8);
  builder.conv2d(hidden, 2048, test::WindowSpec{});
  return builder;
}

void place(fbs::ModelT& model, std::size_t index, std::uint64_t offset, std::uint64_t bytes) {
  std::array<std::uint8_t, 32> digest{};
  std::ranges::copy(*model.segments[index].sha256(), digest.begin());
  model.segments[index] = fbs::Segment(offset, bytes, flatbuffers::make_span(digest));
}

void check_status(const Status& status, const std::string& expected) {
  CAPTURE(expected);
  CAPTURE(status.message());
  CHECK(status.code() == StatusCode::kCorrupt);
  CHECK(status.message().find(expected) != std::string::npos);
}

Status open_status(const Bytes& file, const ModelOpenOptions& options = {}) {
  return ModelFile::from_bytes(file, options).status();
}

TEST_CASE("segments that overlap, wholly, in part, or behind the end of 64 bits") {
  check_spoiled(
      large_segments_model, [](fbs::ModelT&) {}, "");
  const auto bytes = [](fbs::ModelT& m, std::size_t i) { return m.segments[i].bytes(); };
  const auto offset = [](fbs::ModelT& m, std::size_t i) { return m.segments[i].offset(); };
  const std::vector<Spoil> spoils = {
      // The second starts where the first does, and inside it.
      {[&](fbs::ModelT& m) { place(m, 1, offset(m, 0), bytes(m, 1)); }, "segment 1 is not where"},
      {[&](fbs::ModelT& m) { place(m, 1, offset(m, 0) + 65536, bytes(m, 1)); },
       "segment 1 is not where"},
      // The first reaches into the second.
      {[&](fbs::ModelT& m) { place(m, 0, offset(m, 0), bytes(m, 0) + 65536); },
       "segment 1 is not where"},
      {[&](fbs::ModelT& m) { std::swap(m.segments[0], m.segments[1]); }, "segment 0 is not where"},
      // Into the header.
      {[&](fbs::ModelT& m) { place(m, 0, 0, bytes(m, 0)); }, "segment 0 is not where"},
      // offset + bytes is small again.
      {[&](fbs::ModelT& m) { place(m, 1, offset(m, 1), ~std::uint64_t{0} - 65535); },
       "segment 1 is empty or does not lie in the file"},
      {[&](fbs::ModelT& m) { place(m, 1, ~std::uint64_t{65535}, 65536); },
       "segment 1 is not where"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(large_segments_model, spoil);
}

TEST_CASE("graphs with a cycle") {
  const auto op = [](fbs::ModelT& m, std::size_t i) -> fbs::OpT& { return *m.variants[0]->ops[i]; };
  const auto reads = [](std::size_t index, const char* kind, std::uint32_t tensor) {
    return "op " + std::to_string(index) + " (" + kind + "): reads tensor " +
           std::to_string(tensor) + ", which nothing before it writes";
  };
  const std::vector<Spoil> spoils = {
      // An op that reads what it writes, alone or beside its input.
      {[&](fbs::ModelT& m) { op(m, 3).inputs = {4}; }, reads(3, "MaxPool2D", 4)},
      {[&](fbs::ModelT& m) {
         op(m, 2).inputs = {1, 3};
       },
       reads(2, "Add", 3)},
      // Two ops that wait for each other, and the last feeding the first.
      {[&](fbs::ModelT& m) { op(m, 6).inputs = {8}; }, reads(6, "Lrn", 8)},
      {[&](fbs::ModelT& m) { op(m, 0).inputs = {17}; }, reads(0, "Conv2D", 17)},
      // The input as an op's output closes a cycle through the network's own beginning.
      {[&](fbs::ModelT& m) { op(m, 16).output = 0; }, "writes tensor 0, which has its value"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::all_ops_model, spoil);
}

TEST_CASE("shapes of 2^40 elements, and ones whose product is small again in 32 or 64 bits") {
  for (const std::size_t tensor : {0u, 3u, 17u}) {  // input, inner, output
    for (const fbs::Shape& shape : {fbs::Shape(65536, 65536, 256), fbs::Shape(65536, 65536, 1),
                                    fbs::Shape(65536, 65536, 65536), fbs::Shape(32768, 65536, 2)}) {
      check_spoiled(
          test::all_ops_model,
          [&](fbs::ModelT& m) { *m.variants[0]->tensors[tensor]->shape = shape; },
          "tensor " + std::to_string(tensor) + ": shape " + shape_text(shape) +
              " has more than 2^31 elements");
    }
    for (const fbs::Shape& shape : {fbs::Shape(1u << 20, 1u << 20, 1), fbs::Shape(~0u, ~0u, ~0u),
                                    fbs::Shape(65537, 1, 1), fbs::Shape(1, 1, 0)}) {
      check_spoiled(
          test::all_ops_model,
          [&](fbs::ModelT& m) { *m.variants[0]->tensors[tensor]->shape = shape; },
          "tensor " + std::to_string(tensor) + ": shape " + shape_text(shape) +
              ": a dimension is not 1..65536");
    }
  }
}

TEST_CASE("weights and files that claim 2^40 bytes") {
  const auto kernel = [](fbs::ModelT& m) -> std::uint64_t& {
    return m.variants[0]->ops[0]->kernel->bytes;
  };
  const std::vector<Spoil> spoils = {
      {[&](fbs::ModelT& m) { kernel(m) = k2To40; }, "a kernel of 1099511627776 bytes is not"},
      // As many as outputs of this op may have, but not as the segment has.
      {[&](fbs::ModelT& m) {
         kernel(m) = std::uint64_t{65536} * 32 * 32 * 3 * 4;
         *m.variants[0]->tensors[1]->shape = {1, 1, 65536};
       },
       "kernel: does not lie in its segment"},
      {[&](fbs::ModelT& m) { place(m, 1, m.segments[1].offset(), k2To40); },
       "segment 1 is empty or does not lie in the file"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(large_segments_model, spoil);

  Bytes file = test::weightless_model().build();
  const std::uint64_t header_bytes = test::header_bytes_of(file);
  const auto identity = (*ModelFile::from_bytes(file))->identity();
  for (const std::uint64_t claimed : {k2To40, k2To40 + 1, ~std::uint64_t{0}}) {
    const auto preamble = encode_model_preamble(
        {.header_bytes = header_bytes, .file_bytes = claimed, .header_sha256 = identity});
    std::ranges::copy(preamble, file.begin());
    check_status(open_status(file), claimed == k2To40
                                        ? "and should have 1099511627776: copy or import it again"
                                        : "which cannot hold its header or is over the cap");
  }
}

TEST_CASE("a wrong hash of the header, of any segment, and bytes where zeros must be") {
  const Bytes good = test::all_ops_model().build();
  REQUIRE(open_status(good, kVerify).is_ok());
  Bytes file = good;
  file[kModelPreambleBytes - 1] ^= std::byte{1};
  check_status(open_status(file), "header does not have the SHA-256 that the file states");

  const auto opened = ModelFile::from_bytes(good);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::string expected =
        "segment " + std::to_string(i) + " does not have the SHA-256 that the header states";
    // The weights are others than the header says.
    const auto at = static_cast<std::size_t>((*opened)->header().segments()->Get(i)->offset());
    file = good;
    file[at] ^= std::byte{1};
    CHECK(open_status(file).is_ok());
    check_status(open_status(file, kVerify), expected);
    file = good;
    file[at - 1] = std::byte{1};
    check_status(open_status(file, kVerify), "bytes between segments are not zero");
    // The header says others than the weights are.
    file = test::all_ops_model().build([i](fbs::ModelT& m) {
      const fbs::Segment& segment = m.segments[i];
      std::array<std::uint8_t, 32> digest{};
      std::ranges::copy(*segment.sha256(), digest.begin());
      digest[31] ^= 0x80;
      m.segments[i] =
          fbs::Segment(segment.offset(), segment.bytes(), flatbuffers::make_span(digest));
    });
    CHECK(open_status(file).is_ok());
    check_status(open_status(file, kVerify), expected);
  }
}

// Around everything that begins or ends: preamble, header, zeros, segments.
std::vector<std::size_t> interesting_lengths(const ModelFile& file, std::uint64_t header_bytes) {
  std::vector<std::size_t> ends{kModelPreambleBytes, kModelCommitOffset + 4,
                                kModelPreambleBytes + static_cast<std::size_t>(header_bytes)};
  for (const fbs::Segment* segment : *file.header().segments()) {
    ends.push_back(static_cast<std::size_t>(segment->offset()));
    ends.push_back(static_cast<std::size_t>(segment->offset() + segment->bytes()));
  }
  std::vector<std::size_t> lengths{0, 1};
  for (const std::size_t end : ends) {
    for (const std::size_t length : {end - 1, end, end + 1}) {
      if (length < file.file_bytes()) lengths.push_back(length);
    }
  }
  return lengths;
}

TEST_CASE("a file cut short around anything that begins or ends, in memory and mapped") {
  const test::TemporaryFolder folder;
  const Bytes good = test::all_ops_model().build();
  const std::uint64_t header_bytes = test::header_bytes_of(good);
  const std::string path = folder / "cut.cleave";
  const auto lengths = interesting_lengths(**ModelFile::from_bytes(good), header_bytes);
  CHECK(lengths.size() > 30);
  for (const std::size_t length : lengths) {
    CAPTURE(length);
    Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
    const std::string expected = length < kModelPreambleBytes
                                     ? "too short to be a cleave model file"
                                     : "has " + std::to_string(length) + " bytes and should have " +
                                           std::to_string(good.size());
    check_status(open_status(cut), expected);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(cut.data()), static_cast<std::streamsize>(length));
    check_status(ModelFile::open(path).status(), std::string(path).append(": ").append(expected));
    // A preamble that says that this is its whole length: then it is the table that knows better.
    if (length < kModelPreambleBytes + header_bytes) continue;
    test::reseal(cut, header_bytes);
    check_status(open_status(cut), "is empty or does not lie in the file");
  }
}

}  // namespace
}  // namespace cleave
