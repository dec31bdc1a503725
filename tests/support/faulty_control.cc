// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <stdexcept>

#include "schemas/file_descriptor.h"
#include "tests/support/faulty_system.h"

namespace cleave::test {

FaultySystem::FaultySystem(const std::string& page) : page_(page) {
  const FileDescriptor file(::open(page.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.is_open() || ::ftruncate(file.get(), sizeof(FaultyControl)) != 0) {
    throw std::runtime_error("cannot make " + page);
  }
  void* const place =
      ::mmap(nullptr, sizeof(FaultyControl), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (place == MAP_FAILED) throw std::runtime_error("cannot map " + page);
  control_ = new (place) FaultyControl{};
}

FaultySystem::~FaultySystem() { ::munmap(control_, sizeof(FaultyControl)); }

namespace {

std::string with_option(const char* variable, const char* option) {
  const char* const there = std::getenv(variable);
  return std::string(variable) + "=" + (there == nullptr ? "" : std::string(there) + ":") + option;
}

}  // namespace

// AddressSanitizer wants to be the first of the libraries, which a preloaded one always is. A race
// must be seen also in a program that will be killed.
Environment FaultySystem::environment(const std::string& library) const {
  return {"LD_PRELOAD=" + library, std::string(kFaultyControlVariable) + "=" + page_,
          with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
          with_option("TSAN_OPTIONS", "halt_on_error=1")};
}

}  // namespace cleave::test
