// SPDX-License-Identifier: Apache-2.0
//
// The little that spool and result log ask of a file system, so that a test can put one below them
// that forgets (tests/support/forgetful_folder.h). What is promised of an implementation is what
// POSIX promises of a disk, no more: bytes are there after a loss of power once sync() returned, a
// created or removed name once sync_names() did; of what was not synced any part may be there,
// whatever the order it was written in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::agent {

// A file that grows at its end. Used by one thread; closed when this goes, without a sync.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // Bytes of the file as it is now, synced or not.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Writes all of `bytes` behind the end. After an error (kIo; kResourceExhausted: the disk is
  // full) a part may have been written; size() says so, and truncate() takes it back.
  [[nodiscard]] virtual Status append(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Status truncate(std::uint64_t size) = 0;
  // All that was appended and cut is durable when this returns ok. After an error nothing is known
  // of what was written since the last sync: Linux tells of a failed write-back only once.
  [[nodiscard]] virtual Status sync() = 0;
  // Reads bytes.size() bytes at `offset`. Errors: kCorrupt (the file ends before), kIo.
  [[nodiscard]] virtual Status read_at(std::uint64_t offset, std::span<std::byte> bytes) const = 0;
};

class Folder {
 public:
  virtual ~Folder() = default;
  // Of its regular files, sorted. Errors: kIo.
  [[nodiscard]] virtual Result<std::vector<std::string>> names() const = 0;
  // Makes `name`, which must not exist, with no content. Errors: kIo, kResourceExhausted.
  [[nodiscard]] virtual Result<std::unique_ptr<AppendFile>> create(const std::string& name) = 0;
  // A file that exists. Errors: kNotFound, kIo, kCorrupt (not a regular file).
  [[nodiscard]] virtual Result<std::unique_ptr<AppendFile>> open(const std::string& name) const = 0;
  [[nodiscard]] virtual Status remove(const std::string& name) = 0;
  [[nodiscard]] virtual Status sync_names() = 0;
};

}  // namespace cleave::agent
