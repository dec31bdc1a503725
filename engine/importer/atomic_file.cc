// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace cleave::importer {
namespace {

Status os_error(const std::string& action, const std::string& path) {
  const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIo;
  return {code, action + " " + path + ": " + std::generic_category().message(errno)};
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// mkostemp() leaves the file private to its owner; a model is as readable as any new file.
void set_usual_mode(int fd) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  // A file system without modes refuses, and then there is nothing to set.
  [[maybe_unused]] const int ignored = ::fchmod(fd, 0666 & ~mask);
}

}  // namespace

AtomicFile::AtomicFile(int fd, std::string temporary, std::string path)
    : fd_(fd), temporary_(std::move(temporary)), path_(std::move(path)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      temporary_(std::exchange(other.temporary_, {})),
      path_(std::move(other.path_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    return Status{StatusCode::kIo, "cannot write " + path + ": it is a folder; name a file"};
  }
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return os_error("cannot create a file beside", path);
  set_usual_mode(fd);
  return AtomicFile(fd, std::move(temporary), path);
}

Status AtomicFile::write_at(std::span<const std::byte> bytes, std::size_t offset) {
  // One call writes less than 2 GiB on Linux; this also keeps a full disk's message early.
  constexpr std::size_t kMaxChunk = 64u << 20;
  while (!bytes.empty()) {
    const std::size_t chunk = std::min(bytes.size(), kMaxChunk);
    const ssize_t written = ::pwrite(fd_, bytes.data(), chunk, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return os_error("cannot write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::size_t>(written);
  }
  return Status::ok();
}

Status AtomicFile::sync() {
  return ::fsync(fd_) == 0 ? Status::ok() : os_error("cannot write", path_);
}

Status AtomicFile::commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return os_error("cannot name", path_);
  temporary_.clear();
  const std::string folder = folder_of(path_);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return os_error("cannot open folder", folder);
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL;  // not every file system syncs folders
  const Status status = synced ? Status::ok() : os_error("cannot sync folder", folder);
  ::close(fd);
  return status;
}

}  // namespace cleave::importer
