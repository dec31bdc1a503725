// SPDX-License-Identifier: Apache-2.0
//
// A file descriptor that closes itself, and the operating system's error as a
// Status.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "schemas/status.h"

namespace cleave {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// The error in errno: kNotFound when a path does not exist, else kIo.
inline Status os_error(const std::string& action) {
  const int error = errno;
  const StatusCode code =
      error == ENOENT || error == ENOTDIR ? StatusCode::kNotFound : StatusCode::kIo;
  return {code, action + ": " + std::generic_category().message(error)};
}

}  // namespace cleave
