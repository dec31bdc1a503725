// SPDX-License-Identifier: Apache-2.0
//
// A profile file: what is read can be written, and is read again the same.
#include "schemas/profile_reader.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace cleave;

void require_same_again(const ProfileData& profile) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishProfileBuffer(builder, build_profile(builder, profile));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  const auto again = parse_profile(bytes);
  fuzz::require(again.is_ok() && *again == profile, "a profile survives writing and reading");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
  const auto profile = parse_profile(bytes);
  if (profile.is_ok()) {
    require_same_again(*profile);
  } else {
    fuzz::require_clean_error(profile.status());
  }
  return 0;
}
