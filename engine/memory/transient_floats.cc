// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/transient_floats.h"

#include <sys/mman.h>

namespace cleave {

TransientFloats::TransientFloats(std::size_t count) {
  const std::size_t bytes = count * sizeof(float);
  if (bytes == 0) return;
  void* const pages =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return;
  floats_ = {static_cast<float*>(pages), UnmapFloats{bytes}};
}

void UnmapFloats::operator()(float* floats) const { ::munmap(floats, bytes); }

}  // namespace cleave
