// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "schemas/status.h"

namespace cleave::importer {

// A file under a temporary name beside `path`, that takes the name only when it is complete and
// durable; dropped without a trace otherwise. Used by one thread.
class AtomicFile {
 public:
  // Errors: kIo, kNotFound (no such folder).
  static Result<AtomicFile> create(const std::string& path);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  // Writes all of `bytes` at `offset`. Errors: kIo (disk full).
  [[nodiscard]] Status write_at(std::span<const std::byte> bytes, std::size_t offset);
  // Makes all that was written durable. Errors: kIo.
  [[nodiscard]] Status sync();
  // Takes the final name, over a file that may be there, and makes that durable. Errors: kIo.
  [[nodiscard]] Status commit();

 private:
  AtomicFile(int fd, std::string temporary, std::string path);

  int fd_;
  std::string temporary_;  // empty once renamed
  std::string path_;
};

}  // namespace cleave::importer
