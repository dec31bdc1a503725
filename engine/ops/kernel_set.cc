// SPDX-License-Identifier: Apache-2.0
#include <cpuinfo.h>

#include <string>

#include "engine/executor.h"
#include "engine/kernels/dispatch.h"

namespace cleave {
namespace {

#if !defined(__x86_64__) && !defined(__i386__)
// Those that XNNPACK distinguishes and that are found in single-board computers and servers.
const char* core_name() {
  switch (cpuinfo_get_core(0)->uarch) {
    case cpuinfo_uarch_cortex_a35:
      return "cortex-a35";
    case cpuinfo_uarch_cortex_a53:
      return "cortex-a53";
    case cpuinfo_uarch_cortex_a55r0:
    case cpuinfo_uarch_cortex_a55:
      return "cortex-a55";
    case cpuinfo_uarch_cortex_a57:
      return "cortex-a57";
    case cpuinfo_uarch_cortex_a72:
      return "cortex-a72";
    case cpuinfo_uarch_cortex_a73:
      return "cortex-a73";
    case cpuinfo_uarch_cortex_a75:
      return "cortex-a75";
    case cpuinfo_uarch_cortex_a76:
      return "cortex-a76";
    case cpuinfo_uarch_cortex_a77:
      return "cortex-a77";
    case cpuinfo_uarch_cortex_a78:
      return "cortex-a78";
    case cpuinfo_uarch_neoverse_n1:
      return "neoverse-n1";
    case cpuinfo_uarch_neoverse_n2:
      return "neoverse-n2";
    case cpuinfo_uarch_neoverse_v1:
      return "neoverse-v1";
    case cpuinfo_uarch_neoverse_v2:
      return "neoverse-v2";
    default:
      return "other-core";
  }
}
#endif

// In the order in which XNNPACK prefers them for f32.
std::string describe_kernel_set() {
  if (!cpuinfo_initialize()) return "unknown";
#if defined(__x86_64__) || defined(__i386__)
  if (cpuinfo_has_x86_avx512f()) return "avx512";
  if (cpuinfo_has_x86_fma3()) return "fma3";
  if (cpuinfo_has_x86_avx()) return "avx";
  return "sse";
#else
  std::string name = "neon";
  if (cpuinfo_has_arm_neon_fp16_arith()) name += "+fp16";
  if (cpuinfo_has_arm_neon_dot()) name += "+dotprod";
  if (cpuinfo_has_arm_i8mm()) name += "+i8mm";
  return name + "/" + core_name();
#endif
}

}  // namespace

const char* kernel_set_name() {
  // Our own kernels are named where they are not the best that the CPU has.
  static const std::string name =
      &kernels::active_kernels() == &kernels::available_kernels().back()
          ? describe_kernel_set()
          : describe_kernel_set() + ", own kernels " + kernels::active_kernels().name;
  return name.c_str();
}

}  // namespace cleave
