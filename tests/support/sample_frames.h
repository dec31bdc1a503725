// SPDX-License-Identifier: Apache-2.0
//
// One frame of each message with fixed content: frozen in tests/golden, and seeds of the fuzzers.
#pragma once

#include <string>
#include <vector>

#include "schemas/profile_reader.h"
#include "schemas/wire_reader.h"

namespace cleave::test {

struct SampleFrame {
  std::string name;  // "hello", "welcome_profile", ...
  FrameBytes bytes;  // without attachment
};

[[nodiscard]] std::vector<SampleFrame> sample_frames();

// Identity 00 01 02 .. 1f.
[[nodiscard]] Sha256Digest sample_identity();
// Two variants of three ops.
[[nodiscard]] ProfileData sample_profile();
// The same with everything that version 2 of the profile file adds.
ProfileData sample_profile_v2();
// The same with what version 3 adds.
ProfileData sample_profile_v3();
// The same with what version 4 adds.
ProfileData sample_profile_v4();

}  // namespace cleave::test
