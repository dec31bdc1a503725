// SPDX-License-Identifier: Apache-2.0
//
// Tests that look at resident pages judge this project, not a kernel that is short of memory.
#pragma once

#include <cstdint>
#include <functional>

namespace cleave::test {

// Pages that the kernel took back so far, from anybody on this machine or in this control group.
[[nodiscard]] std::uint64_t reclaimed_pages();

enum class Verdict : std::uint8_t { kHolds, kFails, kPagesWereReclaimed };

// What `holds` says. If it is no, and pages were reclaimed meanwhile, it is asked again, three
// times in all.
[[nodiscard]] Verdict judge_residency(const std::function<bool()>& holds);

}  // namespace cleave::test
