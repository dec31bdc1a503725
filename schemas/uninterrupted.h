// SPDX-License-Identifier: Apache-2.0
//
// System calls and the signals that interrupt them. A program that answers SIGTERM in order has a
// handler for it, and whichever of its calls waits at that moment ends with EINTR: no error of the
// file that it was about.
#pragma once

#include <signal.h>

#include <cerrno>
#include <initializer_list>

namespace cleave {

// Makes the call until no signal interrupts it. Not for close(): Linux has closed by then.
template <typename Call>
[[nodiscard]] auto uninterrupted(const Call& call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// After a signal that is handled, calls go on by themselves where the system can make them do so:
// also those of the C library, whose streams otherwise lose what they were writing. To be called
// once the handler is there; does nothing where it cannot.
inline void restart_calls_after(int signal_number) {
  struct sigaction action {};
  if (::sigaction(signal_number, nullptr, &action) != 0) return;
  action.sa_flags |= SA_RESTART;
  (void)::sigaction(signal_number, &action, nullptr);
}

// To the calling thread none of `signal_numbers` comes any more. For a program's last thread,
// before its handlers go: a signal after that would give it another exit code than the one it
// earned.
inline void hold_back(std::initializer_list<int> signal_numbers) {
  sigset_t held;
  sigemptyset(&held);
  for (const int number : signal_numbers) sigaddset(&held, number);
  (void)::pthread_sigmask(SIG_BLOCK, &held, nullptr);
}

}  // namespace cleave
