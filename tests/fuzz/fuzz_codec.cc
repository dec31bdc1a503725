// SPDX-License-Identifier: Apache-2.0
//
// An attachment of boundary tensors in each codec, and a table of codec Coded: byte 0 of the input
// chooses, the rest is hostile.
#include <algorithm>
#include <memory>

#include "tests/fuzz/codec_boundary.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace cleave;
using codec::CodedQuality;
using fuzz::chosen;
using fuzz::kBoundary;

std::unique_ptr<BoundaryCodec> made(std::uint8_t choice, const CodedQuality& quality) {
  codec::Created created = fuzz::make(choice, quality);
  fuzz::require(created.is_ok(), "a codec of a sound boundary is made");
  return std::move(created).value();
}

// Of the first byte; 6: coded with a transform, 7 and 8: coded without and with one, levels chosen.
constexpr std::uint8_t kTable = 5;
constexpr std::uint8_t kChoices = 9;

struct Tensors {
  std::vector<std::vector<std::byte>> bytes;

  Tensors() {
    for (const codec::BoundaryTensor& tensor : kBoundary) bytes.emplace_back(tensor.bytes());
  }
  [[nodiscard]] std::vector<std::span<std::byte>> write() { return {bytes.begin(), bytes.end()}; }
  [[nodiscard]] std::vector<std::span<const std::byte>> read() const {
    return {bytes.begin(), bytes.end()};
  }
};

// What decodes is tensors like any: they are encoded within the promised length, and decoded again.
void take_stream(BoundaryCodec& codec, std::span<const std::byte> stream) {
  Tensors arrived;
  const auto into = arrived.write();
  const Status status = codec.decode(stream, into);
  if (!status.is_ok()) {
    fuzz::require_clean_error(status);
    return;
  }
  std::vector<std::byte> again(codec.max_encoded_bytes());
  again.resize(codec.encode(arrived.read(), again));
  fuzz::require(again.size() <= codec.max_encoded_bytes(), "no stream is longer than promised");
  Tensors once_more;
  const auto into_again = once_more.write();
  fuzz::require(codec.decode(again, into_again).is_ok(), "what was encoded decodes");
}

// Values as hostile as bytes are: the input's own, over and over.
Tensors tensors_of(std::span<const std::uint8_t> data) {
  Tensors tensors;
  std::size_t at = 0;
  for (std::vector<std::byte>& tensor : tensors.bytes) {
    for (std::byte& byte : tensor) byte = std::byte{data[at++ % data.size()]};
  }
  return tensors;
}

void carry(BoundaryCodec& codec, const Tensors& tensors) {
  std::vector<std::byte> stream(codec.max_encoded_bytes());
  stream.resize(codec.encode(tensors.read(), stream));
  Tensors arrived;
  const auto into = arrived.write();
  fuzz::require(codec.decode(stream, into).is_ok(), "what was encoded decodes");
}

// A table; its own bytes are then values, and a stream, for it.
void take_table(std::span<const std::uint8_t> data) {
  const auto qualities = codec::read_coded_table(data, kBoundary);
  if (!qualities.is_ok()) {
    fuzz::require_clean_error(qualities.status());
    return;
  }
  const std::vector<std::uint8_t> written = codec::write_coded_table(*qualities);
  const auto again = codec::read_coded_table(written, kBoundary);
  fuzz::require(again.is_ok() && codec::write_coded_table(*again) == written,
                "a table survives writing and reading");
  fuzz::require(data[0] != written[0] || std::ranges::equal(written, data),
                "and one of today's version reading and writing");
  for (const CodedQuality& quality : *qualities) {
    const auto coded = made(4, quality);
    carry(*coded, tensors_of(data));
    take_stream(*coded, std::as_bytes(data.first(std::min<std::size_t>(data.size(), 200))));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::unique_ptr<BoundaryCodec> codecs[] = {made(0, {}),
                                                          made(1, {}),
                                                          made(2, {}),
                                                          made(3, {}),
                                                          made(4, fuzz::flat_quality()),
                                                          nullptr,
                                                          made(4, fuzz::turned_quality()),
                                                          made(4, chosen(fuzz::flat_quality())),
                                                          made(4, chosen(fuzz::turned_quality()))};
  if (size == 0) return 0;
  const std::uint8_t choice = data[0] % kChoices;
  const std::vector<std::byte> rest = fuzz::aligned_copy(data + 1, size - 1);
  if (choice != kTable) {
    take_stream(*codecs[choice], rest);
    if (size > 1) carry(*codecs[choice], tensors_of({data + 1, size - 1}));
  } else {
    take_table({reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size()});
  }
  return 0;
}
