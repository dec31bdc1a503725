// SPDX-License-Identifier: Apache-2.0
#include "schemas/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "schemas/uninterrupted.h"

namespace cleave {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Distinct for each writer on the machine; a leftover of a crash is not in the way of O_EXCL
// either, since a process id is not met again with the same count.
std::string temporary_name(const std::string& path) {
  static std::atomic<std::uint64_t> count{0};
  return path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

// A rename is durable once its folder is. Some file systems cannot sync a folder; they say EINVAL.
Status sync_folder(const std::string& folder) {
  const FileDescriptor directory(
      uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!directory.is_open()) return os_error("cannot open its folder");
  const int synced = uninterrupted([&] { return ::fsync(directory.get()); });
  if (synced == 0 || errno == EINVAL) return Status::ok();
  return os_error("cannot sync its folder");
}

// Where a file that is written to `path` ends up: behind symbolic links, so that they stay. What is
// there and is no regular file, as a device, must not be renamed over.
Result<std::string> final_path(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0)
    return path;  // to be made; or its folder says what is wrong
  if (S_ISREG(info.st_mode)) return path;
  const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr),
                                                           &std::free);
  if (target == nullptr) return os_error("cannot follow").with_context(path);
  if (::lstat(target.get(), &info) != 0) return os_error("cannot stat").with_context(path);
  if (S_ISREG(info.st_mode)) return std::string(target.get());
  return Status(StatusCode::kIo, path + ": is there, and is no regular file to be replaced");
}

Status write_error(const char* action, const std::string& path) {
  return os_error(action).with_context(path);
}

Result<std::vector<std::byte>> read_open_file(int fd, std::size_t max_bytes) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return os_error("cannot stat");
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kCorrupt, "not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes) {
    return Status(StatusCode::kOutOfRange, "longer than " + std::to_string(max_bytes) + " bytes");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got =
        uninterrupted([&] { return ::read(fd, bytes.data() + have, bytes.size() - have); });
    if (got < 0) return os_error("cannot read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  const FileDescriptor file(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (!file.is_open()) return os_error("cannot open").with_context(path);
  auto bytes = read_open_file(file.get(), max_bytes);
  if (!bytes.is_ok()) return bytes.status().with_context(path);
  return bytes;
}

AtomicFile::AtomicFile(FileDescriptor file, std::string temporary, std::string path)
    : file_(std::move(file)), temporary_(std::move(temporary)), path_(std::move(path)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : file_(std::move(other.file_)),
      temporary_(std::exchange(other.temporary_, {})),
      path_(std::move(other.path_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<AtomicFile> AtomicFile::create(const std::string& path, unsigned mode) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return Status(StatusCode::kIo, "cannot write: it is a folder; name a file").with_context(path);
  }
  CLEAVE_ASSIGN_OR_RETURN(std::string target, final_path(path));
  std::string temporary = temporary_name(target);
  FileDescriptor file(uninterrupted(
      [&] { return ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode); }));
  if (!file.is_open()) return write_error("cannot create", path);
  return AtomicFile(std::move(file), std::move(temporary), std::move(target));
}

Status AtomicFile::write_at(std::span<const std::byte> bytes, std::size_t offset) {
  // One call writes less than 2 GiB on Linux; this also keeps a full disk's message early.
  constexpr std::size_t kMaxChunk = 64u << 20;
  while (!bytes.empty()) {
    const std::size_t chunk = std::min(bytes.size(), kMaxChunk);
    const ssize_t written = uninterrupted(
        [&] { return ::pwrite(file_.get(), bytes.data(), chunk, static_cast<off_t>(offset)); });
    if (written <= 0) return write_error("cannot write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::size_t>(written);
  }
  return Status::ok();
}

Status AtomicFile::sync() {
  const int synced = uninterrupted([&] { return ::fsync(file_.get()); });
  return synced == 0 ? Status::ok() : write_error("cannot write (fsync)", path_);
}

Status AtomicFile::commit_unsynced() {
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return write_error("cannot rename", path_);
  }
  temporary_.clear();
  return Status::ok();
}

Status AtomicFile::commit() {
  CLEAVE_RETURN_IF_ERROR(sync());
  CLEAVE_RETURN_IF_ERROR(commit_unsynced());
  return sync_folder_of(path_);
}

Status sync_folder_of(const std::string& path) {
  return sync_folder(folder_of(path)).with_context(path);
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  CLEAVE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  CLEAVE_RETURN_IF_ERROR(file.write_at(bytes, 0));
  return file.commit();
}

}  // namespace cleave
