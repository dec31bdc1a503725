// SPDX-License-Identifier: Apache-2.0
//
// What Arm cores this machine has.
#pragma once

namespace cleave::kernels {

// Whether every core issues in order in the way that the kernels named *_a53_* are written for
// (Cortex-A53 and A55), by the identification registers that Linux shows below `cpu_folder`
// (cpu0/regs/identification/midr_el1 and so on). False when one is another core, or cannot be read.
// REQUIRES: `cpu_folder` ends without a slash. Thread-safe.
[[nodiscard]] bool all_cores_in_order(const char* cpu_folder = "/sys/devices/system/cpu");

}  // namespace cleave::kernels
