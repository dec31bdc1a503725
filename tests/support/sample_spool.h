// SPDX-License-Identifier: Apache-2.0
//
// A spool and a result log with all that their formats know: tests/golden/spool_v1.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "agent/spool/spool_format.h"
#include "tests/support/forgetful_folder.h"

namespace cleave::test {

inline constexpr const char* kSampleResults = "results.jsonl";
inline constexpr std::size_t kSampleFileBytes = 30'000;

// Of what waits as an activation.
[[nodiscard]] agent::PayloadHead sample_payload_head();
// A picture's bytes, and an activation's, by the first letter of its name.
[[nodiscard]] std::vector<std::byte> sample_payload(std::size_t bytes, char letter);

// Three runs, the second of which was killed: a.jpg was answered and b.jpg refused; c.jpg waits as
// its file, d.jpg as an activation, e.jpg as one that took its file's place, and f.jpg by its file
// alone. Always the same bytes. Throws when the ledger does not do what it is told.
void write_sample_spool(ForgetfulFolder& folder);

}  // namespace cleave::test
