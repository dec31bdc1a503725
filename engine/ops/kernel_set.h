// SPDX-License-Identifier: Apache-2.0
//
// The kernels that this CPU gets, as far as packed weights depend on them.
#pragma once

#include <string>

namespace cleave::ops {

// Everything by which XNNPACK and we choose kernels, and with them packed layouts: instruction
// sets, the type of core, our own kernels. For comparing, not for people. Thread-safe.
[[nodiscard]] const std::string& packing_kernels();

}  // namespace cleave::ops
