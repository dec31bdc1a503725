// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/kernel_set.h"

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

// XNNPACK's own tests of the CPU, one character each (its hardware-config.c).
std::string instruction_sets() {
  std::string found;
  const auto add = [&](bool has) { found += has ? '1' : '0'; };
#if defined(__x86_64__) || defined(__i386__)
  for (const bool has :
       {cpuinfo_has_x86_ssse3(), cpuinfo_has_x86_sse4_1(), cpuinfo_has_x86_avx(),
        cpuinfo_has_x86_f16c(), cpuinfo_has_x86_fma3(), cpuinfo_has_x86_avx2(),
        cpuinfo_has_x86_avx512f(), cpuinfo_has_x86_avx512bw(), cpuinfo_has_x86_avx512dq(),
        cpuinfo_has_x86_avx512vl(), cpuinfo_has_x86_avx512vbmi(), cpuinfo_has_x86_avx512vnni(),
        cpuinfo_has_x86_gfni(), cpuinfo_has_x86_avx512fp16(), cpuinfo_has_x86_amx_int8(),
        cpuinfo_has_x86_avxvnni(), cpuinfo_has_x86_avx_vnni_int8()}) {
    add(has);
  }
#else
  for (const bool has : {cpuinfo_has_arm_neon(), cpuinfo_has_arm_neon_fma(),
                         cpuinfo_has_arm_neon_v8(), cpuinfo_has_arm_fp16_arith(),
                         cpuinfo_has_arm_neon_fp16_arith(), cpuinfo_has_arm_neon_bf16(),
                         cpuinfo_has_arm_neon_dot(), cpuinfo_has_arm_i8mm(), cpuinfo_has_arm_sve(),
                         cpuinfo_has_arm_sve2(), cpuinfo_has_arm_sme(), cpuinfo_has_arm_sme2()}) {
    add(has);
  }
  for (std::uint32_t i = 0; i < cpuinfo_get_uarchs_count(); ++i) {
    found += "/" + std::to_string(static_cast<unsigned>(cpuinfo_get_uarch(i)->uarch));
  }
#endif
  return found;
}

}  // namespace

const std::string& ops::packing_kernels() {
  static const std::string text = describe_kernel_set() + ", " + kernels::active_kernels().name +
                                  ", " + (cpuinfo_initialize() ? instruction_sets() : "");
  return text;
}

const char* kernel_set_name() {
  // Our own kernels are named where they are not the best that the CPU has.
  static const std::string name =
      &kernels::active_kernels() == &kernels::available_kernels().back()
          ? describe_kernel_set()
          : describe_kernel_set() + ", own kernels " + kernels::active_kernels().name;
  return name.c_str();
}

}  // namespace cleave
