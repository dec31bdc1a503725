// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace cleave::test {

// How often operator new was called in this program so far, on any thread.
[[nodiscard]] std::uint64_t operator_new_calls();

}  // namespace cleave::test
