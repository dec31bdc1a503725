// SPDX-License-Identifier: Apache-2.0
//
// Allocations that fail when a test says so, on the calling thread only. Replaces the global
// operator new, and the aligned_alloc() that Asio and our buffers use, of the program it is linked
// into.
#pragma once

#include <cstddef>

namespace cleave::test {

// The `nth` operator new of this thread from now on (0: the next) throws bad_alloc, once.
void fail_operator_new(int nth);
// Every aligned_alloc() of at least `bytes` on this thread fails.
void fail_aligned_alloc_from(std::size_t bytes);
// Whether something failed since the last call. From now on nothing does.
bool stop_failing();

}  // namespace cleave::test
