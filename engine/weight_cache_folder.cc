// SPDX-License-Identifier: Apache-2.0
#include "engine/weight_cache_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "engine/memory/weight_cache_entry.h"
#include "schemas/atomic_file.h"
#include "schemas/uninterrupted.h"

namespace cleave {
namespace {

constexpr std::string_view kSuffix = ".packed";
constexpr std::string_view kTemporary = ".packed.tmp-";  // as AtomicFile names them
constexpr std::size_t kHexKeyLength = 64;
// A file's time is its last use. Written at most once an hour: flash wears.
constexpr std::time_t kUseResolutionSeconds = 3600;
// No packed op takes as long to write: whoever began it was killed.
constexpr std::time_t kAbandonedAfterSeconds = 3600;

std::string name_of(const WeightCacheKey& key) { return to_hex(key) + std::string(kSuffix); }

struct CacheFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::time_t last_use = 0;
  bool is_temporary = false;
};

// Whether somebody else could have put there what is there.
bool is_private(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// What the folder holds of ours; a file that goes meanwhile is left out.
std::vector<CacheFile> list_files(int folder) {
  std::vector<CacheFile> files;
  const int copy =
      uninterrupted([&] { return ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  DIR* const stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (stream == nullptr) {
    if (copy >= 0) ::close(copy);
    return files;
  }
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    const bool is_temporary =
        name.substr(std::min(kHexKeyLength, name.size())).starts_with(kTemporary);
    if (!is_temporary &&
        (name.size() != kHexKeyLength + kSuffix.size() || !name.ends_with(kSuffix))) {
      continue;
    }
    struct stat info {};
    if (::fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(info.st_mode)) continue;
    files.push_back({std::string(name), static_cast<std::uint64_t>(info.st_size),
                     info.st_mtim.tv_sec, is_temporary});
  }
  ::closedir(stream);
  return files;
}

Status make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      struct stat info {};  // a file system that is read-only says so also for what is there
      if (::stat(part.c_str(), &info) != 0) return os_error("cannot make this folder");
    }
    if (end == std::string::npos) return Status::ok();
  }
}

}  // namespace

MappedWeights::~MappedWeights() {
  if (!mapping_.empty()) {
    ::munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
  }
}

Result<std::shared_ptr<WeightCacheFolder>> WeightCacheFolder::open(
    const WeightCacheOptions& options) {
  const Status made = make_folders(options.path);
  if (!made.is_ok()) return Status(StatusCode::kIo, made.message()).with_context(options.path);
  FileDescriptor folder(uninterrupted(
      [&] { return ::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  struct stat info {};
  if (!folder.is_open() || ::fstat(folder.get(), &info) != 0) {
    return Status(StatusCode::kIo, os_error("cannot open").message()).with_context(options.path);
  }
  if (!is_private(info)) {
    return Status(StatusCode::kInvalidArgument,
                  options.path + (info.st_uid == ::geteuid()
                                      ? ": others may write to it (chmod go-w would end that)"
                                      : ": it belongs to another user"));
  }
  return std::shared_ptr<WeightCacheFolder>(new WeightCacheFolder(options, std::move(folder)));
}

Result<MappedWeights> WeightCacheFolder::map(const std::string& name, const WeightCacheKey& key,
                                             bool check_payload) const {
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const FileDescriptor file(
      uninterrupted([&] { return ::openat(folder_.get(), name.c_str(), kFlags); }));
  if (!file.is_open()) return os_error("cannot open");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return os_error("cannot stat");
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kCorrupt, "not a regular file");
  if (!is_private(info)) return Status(StatusCode::kCorrupt, "others may have written it");
  if (info.st_size < static_cast<off_t>(kWeightCacheHeaderBytes)) {
    return Status(StatusCode::kCorrupt, "shorter than its header");
  }
  const auto bytes = static_cast<std::size_t>(info.st_size);
  void* const address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) return os_error("cannot map");
  const std::span mapping(static_cast<const std::byte*>(address), bytes);
  const auto payload = check_weight_cache_file(mapping, key, check_payload);
  MappedWeights mapped(mapping, payload.is_ok() ? *payload : std::span<const std::byte>());
  if (!payload.is_ok()) return payload.status();
  return mapped;
}

std::optional<MappedWeights> WeightCacheFolder::find(const WeightCacheKey& key) {
  const std::string name = name_of(key);
  auto mapped = map(name, key, /*check_payload=*/true);
  const std::lock_guard lock(mutex_);
  if (!mapped.is_ok()) {
    ++stats_.missing;
    if (mapped.status().code() != StatusCode::kNotFound) ++stats_.refused;
    return std::nullopt;
  }
  ++stats_.mapped;
  note_use(name);
  return std::move(mapped).value();
}

std::optional<MappedWeights> WeightCacheFolder::store(const WeightCacheKey& key,
                                                      std::span<const std::byte> payload) {
  const std::string name = name_of(key);
  const std::lock_guard lock(mutex_);
  Status stored = make_room(name, weight_cache_file_bytes(payload.size()));
  if (stored.is_ok()) stored = write(name, key, payload);
  if (!stored.is_ok()) {
    if (status_.is_ok()) status_ = stored;
    return std::nullopt;
  }
  ++stats_.stored;
  used_.insert(name);
  // What was just written need not be hashed again, which would make all of its pages resident
  // beside the block that was packed.
  auto mapped = map(name, key, /*check_payload=*/false);
  if (!mapped.is_ok()) return std::nullopt;
  return std::move(mapped).value();
}

Status WeightCacheFolder::write(const std::string& name, const WeightCacheKey& key,
                                std::span<const std::byte> payload) const {
  constexpr std::array<std::byte, kWeightCacheSlackBytes> kSlack{};
  CLEAVE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(options_.path + "/" + name, 0600));
  const WeightCacheHeader header = make_weight_cache_header(key, payload);
  CLEAVE_RETURN_IF_ERROR(file.write_at(header, 0));
  CLEAVE_RETURN_IF_ERROR(file.write_at(payload, header.size()));
  CLEAVE_RETURN_IF_ERROR(file.write_at(kSlack, header.size() + payload.size()));
  // A first start must not wait for flash to take hundreds of megabytes.
  return file.commit_unsynced();
}

// REQUIRES: mutex_ is held.
Status WeightCacheFolder::make_room(const std::string& name, std::uint64_t bytes) {
  std::vector<CacheFile> files = list_files(folder_.get());
  std::ranges::sort(files, {}, &CacheFile::last_use);
  std::uint64_t total = bytes;
  const std::time_t now = std::time(nullptr);
  for (CacheFile& file : files) {
    if (file.is_temporary && file.last_use + kAbandonedAfterSeconds < now &&
        ::unlinkat(folder_.get(), file.name.c_str(), 0) == 0) {
      file.bytes = 0;
    }
    if (file.name != name) total += file.bytes;  // that one is replaced
  }
  for (const CacheFile& file : files) {
    if (total <= options_.limit_bytes) break;
    if (file.is_temporary || file.name == name || used_.contains(file.name)) continue;
    if (::unlinkat(folder_.get(), file.name.c_str(), 0) == 0) total -= file.bytes;
  }
  if (total <= options_.limit_bytes) return Status::ok();
  return {StatusCode::kResourceExhausted,
          options_.path + ": packed weights of this model are over the cache's limit of " +
              std::to_string(options_.limit_bytes) + " bytes; some are not kept"};
}

// REQUIRES: mutex_ is held.
void WeightCacheFolder::note_use(const std::string& name) {
  used_.insert(name);
  struct stat info {};
  if (::fstatat(folder_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (std::time(nullptr) - info.st_mtim.tv_sec < kUseResolutionSeconds) return;
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  // A folder on a file system that is read-only keeps its times: nothing is evicted there either.
  (void)::utimensat(folder_.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

void WeightCacheFolder::note_problem(const Status& problem) {
  const std::lock_guard lock(mutex_);
  if (status_.is_ok()) status_ = problem;
}

Status WeightCacheFolder::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

WeightCacheStats WeightCacheFolder::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

WeightCacheUsage WeightCacheFolder::usage() const {
  WeightCacheUsage usage;
  for (const CacheFile& file : list_files(folder_.get())) {
    ++usage.files;
    usage.bytes += file.bytes;
  }
  return usage;
}

std::uint64_t weight_cache_file_bytes(std::uint64_t payload_bytes) {
  return kWeightCacheHeaderBytes + payload_bytes + kWeightCacheSlackBytes;
}

std::optional<std::string> default_weight_cache_path() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/cleave/weights";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/cleave/weights";
  return std::nullopt;
}

}  // namespace cleave
