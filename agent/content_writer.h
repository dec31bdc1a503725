// SPDX-License-Identifier: Apache-2.0
//
// One header or segment on its way into a model folder: what has come stands in a .part file, goes
// on there after a kill, and counts only once all of it has the right SHA-256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "schemas/file_descriptor.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave::agent {

class ContentWriter {
 public:
  // Opens the .part file of `sha256` in `folder`, or begins one, and hashes what it holds. One that
  // is longer than `max_bytes` begins anew. Errors: kIo.
  static Result<ContentWriter> open(const std::string& folder, const Sha256Digest& sha256,
                                    std::uint64_t max_bytes);

  // How many bytes are there already: where to go on.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  // Appends; not durable yet. Errors: kIo (disk full), kCorrupt (beyond `max_bytes`).
  [[nodiscard]] Status append(std::span<const std::byte> bytes);

  // All bytes are there. Right: makes them durable. Wrong: empties the file and gives kCorrupt.
  [[nodiscard]] Status verify();
  // After verify(): takes the name `path`, durably. Errors: kIo.
  [[nodiscard]] Status move_to(const std::string& path);
  // Forgets all that came; what is appended next is the beginning.
  [[nodiscard]] Status restart();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ContentWriter(FileDescriptor file, std::string path, const Sha256Digest& sha256,
                std::uint64_t max_bytes);
  Status hash_what_is_there();

  FileDescriptor file_;
  std::string path_;
  Sha256Digest sha256_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  Sha256 hash_;
};

}  // namespace cleave::agent
