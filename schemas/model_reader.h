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
#include <vector>

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
  // Maps and checks `path`; of a folder, as open_held(). Errors: kNotFound, kIo, kCorrupt (naming
  // what does not check), kUnsupported (a newer format version).
  static Result<std::shared_ptr<const ModelFile>> open(const std::string& path,
                                                       const ModelOpenOptions& options = {});
  // Of a model folder (schemas/model_folder.h) the model in use, or the named one: what is held of
  // it. Errors: the same; kNotFound as well when the folder has no such header.
  static Result<std::shared_ptr<const ModelFile>> open_held(const std::string& folder,
                                                            const ModelOpenOptions& options = {});
  static Result<std::shared_ptr<const ModelFile>> open_held(const std::string& folder,
                                                            const ModelIdentity& model,
                                                            const ModelOpenOptions& options = {});
  // The same for bytes in memory, which are copied; for tests, fuzzing and the importer.
  static Result<std::shared_ptr<const ModelFile>> from_bytes(std::span<const std::byte> bytes,
                                                             const ModelOpenOptions& options = {});

  virtual ~ModelFile() = default;
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  [[nodiscard]] const fbs::Model& header() const { return *header_; }
  [[nodiscard]] const ModelIdentity& identity() const { return identity_; }
  // The header as stored; identity() is its SHA-256.
  [[nodiscard]] std::span<const std::byte> header_bytes() const { return header_bytes_; }
  // Whether the weights of segment `index` are there to be read: always, but in a model folder.
  // REQUIRES: index < header().segments()->size().
  [[nodiscard]] bool has_segment(std::uint32_t index) const {
    return held_.empty() || held_[index];
  }
  // Whether that is so of every segment.
  [[nodiscard]] bool is_whole() const;
  // REQUIRES: has_segment(index). Valid while this object lives.
  [[nodiscard]] std::span<const std::byte> segment(std::uint32_t index) const;
  [[nodiscard]] std::uint64_t file_bytes() const { return bytes_.size(); }  // if it were whole
  // What it takes on disk; of a model folder all that the folder held when it was opened.
  [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }
  [[nodiscard]] bool is_in_folder() const { return in_folder_; }
  // Of the file or the folder; empty for from_bytes.
  [[nodiscard]] const std::string& path() const { return path_; }

  // Hashes every segment that is held; kCorrupt names the first that does not match.
  [[nodiscard]] Status verify_segments() const;
  // Tells the kernel that the pages of segment `index` are no longer needed (after packing).
  void release_segment_pages(std::uint32_t index) const;
  // Tells the kernel to map segment `index` by small pages. A huge page that holds its end and the
  // beginning of the next would otherwise come into memory whole when only the next is read.
  void keep_pages_small(std::uint32_t index) const;
  // Tells the kernel to begin reading `bytes` of this file, which are wanted soon. Does not wait.
  // REQUIRES: a part of a segment or of the header.
  void read_ahead(std::span<const std::byte> bytes) const { read_pages_ahead(bytes); }

  // REQUIRES: the bytes that `view` of an op with segment >= 0 names; checked at open.
  [[nodiscard]] std::span<const std::byte> weight_bytes(const fbs::Op& op,
                                                        const fbs::WeightView& view) const;

 protected:
  ModelFile() = default;
  [[nodiscard]] Status check(const ModelOpenOptions& options);
  virtual void release_pages(std::span<const std::byte> segment) const = 0;
  virtual void map_small_pages(std::span<const std::byte> segment) const = 0;
  virtual void read_pages_ahead(std::span<const std::byte> bytes) const = 0;

  std::span<const std::byte> bytes_;
  std::span<const std::byte> header_bytes_;
  std::vector<bool> held_;  // per segment; empty: all of them
  std::uint64_t stored_bytes_ = 0;
  bool in_folder_ = false;
  std::string path_;
  const fbs::Model* header_ = nullptr;
  ModelIdentity identity_{};
};

}  // namespace cleave
