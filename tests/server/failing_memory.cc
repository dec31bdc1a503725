// SPDX-License-Identifier: Apache-2.0
#include "tests/server/failing_memory.h"

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace {

constexpr int kNever = -1;
thread_local int calls_left = kNever;
thread_local std::size_t failing_bytes = SIZE_MAX;
thread_local bool failed = false;

void* allocate(std::size_t bytes) {
  if (calls_left != kNever && calls_left-- == 0) {
    failed = true;
    throw std::bad_alloc();
  }
  void* memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* allocate_or_null(std::size_t bytes) noexcept {
  try {
    return allocate(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

// All forms of one kind: the address sanitizer has its own for those that are missing here, and
// says so when they meet.
void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate_or_null(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate_or_null(bytes);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  if (bytes >= failing_bytes) {
    failed = true;
    return nullptr;
  }
  void* memory = nullptr;
  if (alignment < sizeof(void*)) alignment = sizeof(void*);
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

namespace cleave::test {

void fail_operator_new(int nth) { calls_left = nth; }

void fail_aligned_alloc_from(std::size_t bytes) { failing_bytes = bytes; }

bool stop_failing() {
  calls_left = kNever;
  failing_bytes = SIZE_MAX;
  return std::exchange(failed, false);
}

}  // namespace cleave::test
