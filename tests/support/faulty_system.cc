// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into a program: tests/support/faulty_system.h.
#include "tests/support/faulty_system.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>

namespace {

using cleave::test::FaultyControl;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Null as long as there is no page: a sound system.
FaultyControl* map_control() {
  const char* const path = std::getenv(cleave::test::kFaultyControlVariable);
  if (path == nullptr) return nullptr;
  static const auto real = next<int(const char*, int, ...)>("open");
  const int file = real(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* const place =
      ::mmap(nullptr, sizeof(FaultyControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  return place == MAP_FAILED ? nullptr : static_cast<FaultyControl*>(place);
}

FaultyControl* control() {
  static FaultyControl* const mapped = map_control();
  return mapped;
}

std::int64_t wall_offset_ns() {
  return control() == nullptr ? 0 : control()->wall_offset_ns.load();
}

bool is_interrupted() {
  static std::atomic<std::uint32_t> calls{0};
  if (control() == nullptr) return false;
  const std::uint32_t each = control()->interrupt_each;
  if (each == 0 || ++calls % each != 0) return false;
  ++control()->interrupted_calls;
  errno = EINTR;
  return true;
}

bool is_regular(int file) {
  struct stat info {};
  return ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
}

// How many of `wanted` bytes the disk takes; -1 with errno when none.
ssize_t take_room(int file, std::size_t wanted) {
  if (control() == nullptr || control()->limited == 0 || !is_regular(file)) {
    return static_cast<ssize_t>(wanted);
  }
  const std::int64_t room = control()->room_bytes;
  const std::int64_t taken = std::min(room, static_cast<std::int64_t>(wanted));
  if (taken <= 0 && wanted > 0) {
    ++control()->refused_writes;
    errno = ENOSPC;
    return -1;
  }
  control()->room_bytes = room - taken;
  return static_cast<ssize_t>(taken);
}

timespec later(timespec time, std::int64_t offset_ns) {
  const std::int64_t ns = time.tv_sec * 1'000'000'000 + time.tv_nsec + offset_ns;
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

ssize_t write_at(int file, const void* data, std::size_t size, off64_t offset) {
  static const auto real = next<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64");
  if (is_interrupted()) return -1;
  const ssize_t room = take_room(file, size);
  return room < 0 ? room : real(file, data, static_cast<std::size_t>(room), offset);
}

int cut(int file, off64_t size) {
  static const auto real = next<int(int, off64_t)>("ftruncate64");
  return is_interrupted() ? -1 : real(file, size);
}

}  // namespace

extern "C" {

ssize_t pwrite(int file, const void* data, std::size_t size, off_t offset) {
  return write_at(file, data, size, offset);
}
ssize_t pwrite64(int file, const void* data, std::size_t size, off64_t offset) {
  return write_at(file, data, size, offset);
}

ssize_t write(int file, const void* data, std::size_t size) {
  static const auto real = next<ssize_t(int, const void*, std::size_t)>("write");
  const ssize_t room = take_room(file, size);
  return room < 0 ? room : real(file, data, static_cast<std::size_t>(room));
}

int ftruncate(int file, off_t size) noexcept { return cut(file, size); }
int ftruncate64(int file, off64_t size) noexcept { return cut(file, size); }

int fsync(int file) {
  static const auto real = next<int(int)>("fsync");
  return is_interrupted() ? -1 : real(file);
}

int fdatasync(int file) {
  static const auto real = next<int(int)>("fdatasync");
  return is_interrupted() ? -1 : real(file);
}

int flock(int file, int operation) noexcept {
  static const auto real = next<int(int, int)>("flock");
  return is_interrupted() ? -1 : real(file, operation);
}

int openat(int folder, const char* path, int flags, ...) {
  static const auto real = next<int(int, const char*, int, ...)>("openat");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  // The C++ library opens folders this way, and takes no EINTR.
  const bool is_folder = (flags & O_DIRECTORY) != 0;
  return !is_folder && is_interrupted() ? -1 : real(folder, path, flags, mode);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = later(*time, wall_offset_ns());
  }
  return result;
}

time_t time(time_t* place) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (place != nullptr) *place = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
