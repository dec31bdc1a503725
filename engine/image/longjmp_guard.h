// SPDX-License-Identifier: Apache-2.0
//
// libjpeg and libpng report an error by calling a function that must not return. Here that
// function jumps back to the guard around the call.
#pragma once

#include <csetjmp>

namespace cleave {

// Calls `body()`; false when it was left by std::longjmp(target, 1). The jump runs no destructors:
// REQUIRES that neither `body` nor anything it calls holds an object that has one.
template <typename Body>
[[nodiscard]] bool run_guarded(std::jmp_buf& target, const Body& body) {
  if (setjmp(target) != 0) return false;
  body();
  return true;
}

}  // namespace cleave
