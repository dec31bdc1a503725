// SPDX-License-Identifier: Apache-2.0
#include "agent/code_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace cleave::agent {
namespace {

// Segments that are never written are the file's own bytes: dropped, they come back as they were.
int give_back(dl_phdr_info* info, std::size_t /*size*/, void* /*unused*/) {
  const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = (info->dlpi_addr + segment.p_vaddr) & ~(page_bytes - 1);
    const std::uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    (void)::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
  return 1;  // the program itself comes first; libraries are shared with others
}

}  // namespace

void give_back_code_pages() { (void)::dl_iterate_phdr(give_back, nullptr); }

}  // namespace cleave::agent
