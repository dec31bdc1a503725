// SPDX-License-Identifier: Apache-2.0
//
// Whoever changes a model folder holds this, so that two do not fetch or update at once.
#pragma once

#include <string>
#include <utility>

#include "schemas/file_descriptor.h"
#include "schemas/status.h"

namespace cleave::agent {

class FolderLock {
 public:
  // Makes the folder (not those above it) if it is missing. Errors: kIo; kUnavailable (another
  // process has it).
  [[nodiscard]] static Result<FolderLock> take(const std::string& folder);
  // A folder in which nothing came to be loses the lock's file as well, and goes if it was made
  // for this.
  ~FolderLock();
  FolderLock(FolderLock&&) noexcept = default;
  FolderLock& operator=(FolderLock&&) = delete;

 private:
  FolderLock(FileDescriptor file, std::string folder, bool made_folder)
      : file_(std::move(file)), folder_(std::move(folder)), made_folder_(made_folder) {}

  FileDescriptor file_;
  std::string folder_;
  bool made_folder_;
};

}  // namespace cleave::agent
