// SPDX-License-Identifier: Apache-2.0
//
// A system that fails on demand below a program under test: a disk without room, a wall clock that
// jumps, calls that signals interrupt. The library (faulty_system.cc) is preloaded into the program
// and looks at a page that it shares with the test.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "tests/support/process.h"

namespace cleave::test {

inline constexpr const char* kFaultyControlVariable = "CLEAVE_FAULTY_SYSTEM";

// What is shared; all zeros but `limited` is a sound system.
struct FaultyControl {
  std::atomic<std::int64_t> wall_offset_ns;   // added to what the machine's clock of dates says
  std::atomic<std::int64_t> room_bytes;       // of the disk, while it is limited; regular files
  std::atomic<std::uint32_t> limited;         // 0: there is room for everything
  std::atomic<std::uint32_t> interrupt_each;  // of so many calls on files one says EINTR; 0: none
  // So far: writes that found no room, calls that were interrupted.
  std::atomic<std::uint32_t> refused_writes, interrupted_calls;
};

class FaultySystem {
 public:
  // `page` is made, or made anew: the file that is shared. Throws std::runtime_error.
  explicit FaultySystem(const std::string& page);
  ~FaultySystem();
  FaultySystem(const FaultySystem&) = delete;
  FaultySystem& operator=(const FaultySystem&) = delete;

  [[nodiscard]] FaultyControl& control() { return *control_; }
  // For the program; `library` is the built faulty_system.cc.
  [[nodiscard]] Environment environment(const std::string& library) const;

 private:
  std::string page_;
  FaultyControl* control_ = nullptr;
};

}  // namespace cleave::test
