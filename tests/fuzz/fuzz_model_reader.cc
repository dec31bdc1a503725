// SPDX-License-Identifier: Apache-2.0
//
// The model reader on hostile files. Each input is tried as it is, and once more with the preamble
// made right (lengths, hash, commit mark) and zeros for the weights that the header claims, so that
// the fuzzer is not held up by a hash that it cannot guess.
#include <algorithm>

#include "schemas/check/vector_alignment.h"
#include "schemas/model_preamble.h"
#include "schemas/model_reader.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/model_walk.h"

namespace {

using namespace cleave;

// Weights are all alike to the reader: files with more are not worth their time.
constexpr std::uint64_t kMaxClaimedBytes = 1u << 20;

void open_and_walk(std::span<const std::byte> bytes) {
  const auto file = ModelFile::from_bytes(bytes);
  if (!file.is_ok()) {
    fuzz::require_clean_error(file.status());
    return;
  }
  const std::uint64_t sum = test::walk_model(**file);
  fuzz::require(test::walk_model(**file) == sum, "a model does not change");
  const auto again = ModelFile::from_bytes(bytes);
  fuzz::require(again.is_ok() && (*again)->identity() == (*file)->identity(),
                "the same bytes are the same model");
  (void)(*file)->verify_segments();
}

// The length of the file that the header's last segment claims; the header's own without any.
std::uint64_t claimed_bytes(std::span<const std::byte> header) {
  const std::uint64_t least = kModelPreambleBytes + header.size();
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(header.data()),
                                 header.size());
  if (!fbs::VerifyModelBuffer(verifier)) return least;
  const auto* segments = fbs::GetModel(header.data())->segments();
  if (segments == nullptr || segments->size() == 0) return least;
  // The Verifier lets it pass; the reader, which sees the header next, must not.
  if (!elements_aligned(*segments, alignof(fbs::Segment))) return least;
  const fbs::Segment& last = *segments->Get(segments->size() - 1);
  if (last.offset() > kMaxClaimedBytes || last.bytes() > kMaxClaimedBytes) return least;
  return std::clamp(last.offset() + last.bytes(), least, std::max(least, kMaxClaimedBytes));
}

void seal_and_open(std::vector<std::byte> file) {
  const std::size_t header_bytes = file.size() - kModelPreambleBytes;
  const auto header = std::span(file).subspan(kModelPreambleBytes);
  const auto digest = sha256(header);
  fuzz::require(digest.is_ok(), "SHA-256 can be computed");
  file.resize(claimed_bytes(header));
  const auto preamble = encode_model_preamble({.committed = true,
                                               .header_bytes = header_bytes,
                                               .file_bytes = file.size(),
                                               .header_sha256 = *digest});
  std::ranges::copy(preamble, file.begin());
  open_and_walk(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
  open_and_walk(bytes);
  if (size > kModelPreambleBytes) seal_and_open(std::move(bytes));
  return 0;
}
