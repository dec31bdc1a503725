// SPDX-License-Identifier: Apache-2.0
//
// All that the planner asks of its surroundings, for programs without a C library.
#include <cstddef>

extern "C" {

// As the compiler expects them; the volatile keeps it from turning the loops into calls of these.
void* memcpy(void* to, const void* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    static_cast<volatile unsigned char*>(to)[i] = static_cast<const unsigned char*>(from)[i];
  }
  return to;
}

void* memset(void* to, int value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    static_cast<volatile unsigned char*>(to)[i] = static_cast<unsigned char>(value);
  }
  return to;
}

// libgcc's division on 32-bit ARM refers to it: division by zero, which the planner never does.
void raise() { __builtin_trap(); }

}  // extern "C"
