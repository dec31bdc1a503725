// SPDX-License-Identifier: Apache-2.0
#include <cpuinfo.h>

#include <string>

#include "engine/executor.h"

namespace cleave {
namespace {

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
  return name;
#endif
}

}  // namespace

const char* kernel_set_name() {
  static const std::string name = describe_kernel_set();
  return name.c_str();
}

}  // namespace cleave
