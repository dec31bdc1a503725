// SPDX-License-Identifier: Apache-2.0
//
// Files that are read whole, and written whole or not at all.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "schemas/file_descriptor.h"
#include "schemas/status.h"

namespace cleave {

// The content of the regular file at `path`, at most `max_bytes` long.
// Errors (with the path): kNotFound, kIo, kOutOfRange (longer), kCorrupt (not a regular file).
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::string& path,
                                                       std::size_t max_bytes);

// A file under a temporary name beside `path` that takes the name once it is complete: a reader, or
// a machine that lost power, finds the old content or the new. Dropped without a trace unless
// committed. `mode` less the umask. A symbolic link stays, and the file that it names is replaced;
// what is there and is no regular file, as a device, is left alone: kIo. Errors carry the path:
// kIo, or kNotFound where its folder is missing. Used by one thread; of two writers of one path the
// last to commit wins.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path, unsigned mode = 0666);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  // Writes all of `bytes` at `offset`.
  [[nodiscard]] Status write_at(std::span<const std::byte> bytes, std::size_t offset);
  // Makes all that was written durable.
  [[nodiscard]] Status sync();
  // Syncs, takes the final name, over a file that may be there, and makes that durable.
  [[nodiscard]] Status commit();
  // Takes the final name without waiting for the disk. A reader finds the old content or the new;
  // after a loss of power the file may be torn. For what carries its own checksum and can be made
  // again.
  [[nodiscard]] Status commit_unsynced();

 private:
  AtomicFile(FileDescriptor file, std::string temporary, std::string path);

  FileDescriptor file_;
  std::string temporary_;  // empty once renamed
  std::string path_;
};

// Replaces `path` by `bytes` with an AtomicFile, whose errors it has; the old content then stands.
// Thread-safe.
[[nodiscard]] Status write_file_atomically(const std::string& path,
                                           std::span<const std::byte> bytes);

// Makes durable what was renamed, made or removed in the folder that `path` is in. Errors: kIo.
[[nodiscard]] Status sync_folder_of(const std::string& path);

}  // namespace cleave
