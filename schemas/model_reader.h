// SPDX-License-Identifier: Apache-2.0
//
// Opens a cleave model file (grammar: schemas/model_format.md) and checks it wholly before anyone
// sees it: preamble, commit mark, lengths, FlatBuffers Verifier, then the meaning of every field
// (shapes agree with what each op computes from its inputs, graph order, segment bounds, layer
// table). Everything that uses a ModelFile may trust those facts and must not check them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "schemas/generated/model_generated.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

// SHA-256 of the header bytes as stored; two files with one identity compute the same scores.
using ModelIdentity = Sha256Digest;

struct ModelOpenOptions {
  bool verify_segments = false;  // also hash every weight segment (reads the whole file)
};

// An open, checked, immutable model file. Thread-safe: all access is const.
// Memory: the file is mapped, not read; pages come in when weights are packed. Whoever replaces a
// model file renames a new one over it: cutting a mapped file short would end the process (SIGBUS).
class ModelFile {
 public:
  // Maps and checks `path`. Errors: kNotFound, kIo, kCorrupt (naming what does not check),
  // kUnsupported (a newer format version).
  static Result<std::shared_ptr<const ModelFile>> open(const std::string& path,
                                                       const ModelOpenOptions& options = {});
  // The same for bytes in memory, which are copied; for tests, fuzzing and the importer.
  static Result<std::shared_ptr<const ModelFile>> from_bytes(std::span<const std::byte> bytes,
                                                             const ModelOpenOptions& options = {});

  virtual ~ModelFile() = default;
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  [[nodiscard]] const fbs::Model& header() const { return *header_; }
  [[nodiscard]] const ModelIdentity& identity() const { return identity_; }
  // REQUIRES: index < header().segments()->size(). Valid while this object lives.
  [[nodiscard]] std::span<const std::byte> segment(std::uint32_t index) const;
  [[nodiscard]] std::uint64_t file_bytes() const { return bytes_.size(); }
  [[nodiscard]] const std::string& path() const { return path_; }  // empty for from_bytes

  // Hashes every segment; kCorrupt names the first that does not match.
  [[nodiscard]] Status verify_segments() const;
  // Tells the kernel that the pages of segment `index` are no longer needed (after packing).
  void release_segment_pages(std::uint32_t index) const;
  // Tells the kernel to map segment `index` by small pages. A huge page that holds its end and the
  // beginning of the next would otherwise come into memory whole when only the next is read.
  void keep_pages_small(std::uint32_t index) const;

  // REQUIRES: the bytes that `view` of an op with segment >= 0 names; checked at open.
  [[nodiscard]] std::span<const std::byte> weight_bytes(const fbs::Op& op,
                                                        const fbs::WeightView& view) const;

 protected:
  ModelFile() = default;
  [[nodiscard]] Status check(const ModelOpenOptions& options);
  virtual void release_pages(std::span<const std::byte> segment) const = 0;
  virtual void map_small_pages(std::span<const std::byte> segment) const = 0;

  std::span<const std::byte> bytes_;
  std::string path_;
  const fbs::Model* header_ = nullptr;
  ModelIdentity identity_{};
};

}  // namespace cleave
