// SPDX-License-Identifier: Apache-2.0
//
// Packed weights that outlive the process: a folder of files, one for each op that is packed, which
// later processes map instead of packing (decision 6 of the design). Grammar of a file:
// engine/memory/weight_cache_format.md.
//
//   auto folder = WeightCacheFolder::open({.path = "/var/cache/cleave/weights"});
//   auto weights = Weights::create(model, variant, range, {.cache = *folder});
//
// - A file is named by the SHA-256 of the op's weight segment and of all that decides the packed
//   layout, so another cut of the model only adds files, and a file of another CPU, kernel set or
//   version is never met.
// - Files are mapped shared and read-only: processes on one machine share their pages.
// - A file that is torn, damaged or somebody else's is packed again and replaced, never used. Its
//   whole payload is hashed before it is used: files are written without waiting for the disk, so
//   after a loss of power one of the right length may hold zeros anywhere, which neither its time
//   nor a sample shows. The hash runs at the speed of memory, on pages that the first picture
//   would read anyway (236 MB of VGG-16: about 40 ms).
// - The hash is 64 bits and no secret: it is there for accidents. Against other users the folder
//   and its files must belong to the user and be writable by nobody else; who can write as the
//   user can replace the program as well.
// - A cache is never needed: when it cannot be written, the run goes on, and status() says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "schemas/file_descriptor.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

using WeightCacheKey = Sha256Digest;

struct WeightCacheOptions {
  std::string path;
  // Bytes that all files may have together. What was not used for longest goes first; what this
  // process used stays, and what then finds no room is not kept.
  std::uint64_t limit_bytes = std::uint64_t{1} << 30;
};

// Since the folder was opened.
struct WeightCacheStats {
  std::uint64_t mapped = 0;   // found, checked and used
  std::uint64_t missing = 0;  // not found, or refused: packed in this process
  std::uint64_t refused = 0;  // there, but damaged or not trusted
  std::uint64_t stored = 0;   // written
};

struct WeightCacheUsage {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// The payload of one file, mapped; unmapped when this goes. The file may be replaced or removed
// meanwhile.
class MappedWeights {
 public:
  // Takes over `mapping`, of which `payload` is a part.
  MappedWeights(std::span<const std::byte> mapping, std::span<const std::byte> payload)
      : mapping_(mapping), payload_(payload) {}
  ~MappedWeights();
  MappedWeights(MappedWeights&& other) noexcept
      : mapping_(std::exchange(other.mapping_, {})), payload_(other.payload_) {}
  MappedWeights& operator=(MappedWeights&&) = delete;

  // Aligned to 4096 bytes; 128 bytes behind it may be read.
  [[nodiscard]] std::span<const std::byte> payload() const { return payload_; }

 private:
  std::span<const std::byte> mapping_, payload_;
};

// Thread-safe. Any number of processes may use one folder at the same time.
class WeightCacheFolder {
 public:
  // Makes the folder (and those above it, mode 0700) where it is missing.
  // Errors, with the path: kIo (it cannot be made or opened), kInvalidArgument (it is not the
  // user's, or others may write to it).
  static Result<std::shared_ptr<WeightCacheFolder>> open(const WeightCacheOptions& options);

  // The weights under `key`, mapped and checked; nothing when they are not there or do not check.
  [[nodiscard]] std::optional<MappedWeights> find(const WeightCacheKey& key);
  // Writes `payload` under `key`, over what may be there, and maps it; nothing when that cannot be
  // done, which status() then says.
  [[nodiscard]] std::optional<MappedWeights> store(const WeightCacheKey& key,
                                                   std::span<const std::byte> payload);
  // Keeps `problem` for status(), unless there was one before.
  void note_problem(const Status& problem);

  // The first thing that went wrong in writing; ok while nothing did.
  [[nodiscard]] Status status() const;
  [[nodiscard]] WeightCacheStats stats() const;
  // What all files have now, those that others wrote included.
  [[nodiscard]] WeightCacheUsage usage() const;
  [[nodiscard]] const std::string& path() const { return options_.path; }
  [[nodiscard]] std::uint64_t limit_bytes() const { return options_.limit_bytes; }

 private:
  WeightCacheFolder(WeightCacheOptions options, FileDescriptor folder)
      : options_(std::move(options)), folder_(std::move(folder)) {}
  [[nodiscard]] Result<MappedWeights> map(const std::string& name, const WeightCacheKey& key,
                                          bool check_payload) const;
  [[nodiscard]] Status write(const std::string& name, const WeightCacheKey& key,
                             std::span<const std::byte> payload) const;
  [[nodiscard]] Status make_room(const std::string& name, std::uint64_t bytes);
  void note_use(const std::string& name);

  const WeightCacheOptions options_;
  const FileDescriptor folder_;
  mutable std::mutex mutex_;
  WeightCacheStats stats_;
  Status status_;
  std::set<std::string> used_;  // names that this process found or stored
};

// Bytes of the file for `payload_bytes` of packed weights.
[[nodiscard]] std::uint64_t weight_cache_file_bytes(std::uint64_t payload_bytes);

// $XDG_CACHE_HOME/cleave/weights, else ~/.cache/cleave/weights; nothing where neither variable
// names an absolute path.
[[nodiscard]] std::optional<std::string> default_weight_cache_path();

}  // namespace cleave
