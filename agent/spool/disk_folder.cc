// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/disk_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

Status write_error(const char* action) {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  Status status = os_error(action);
  if (full) return {StatusCode::kResourceExhausted, status.message()};
  return status;
}

class DiskFile final : public AppendFile {
 public:
  DiskFile(FileDescriptor file, std::string path, std::uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  [[nodiscard]] std::uint64_t size() const override { return size_; }

  [[nodiscard]] Status append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = uninterrupted([&] {
        return ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      });
      if (written <= 0) return write_error("cannot write").with_context(path_);
      size_ += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return Status::ok();
  }

  [[nodiscard]] Status truncate(std::uint64_t size) override {
    if (uninterrupted([&] { return ::ftruncate(file_.get(), static_cast<off_t>(size)); }) != 0) {
      return write_error("cannot cut").with_context(path_);
    }
    size_ = size;
    return Status::ok();
  }

  [[nodiscard]] Status sync() override {
    if (uninterrupted([&] { return ::fdatasync(file_.get()); }) == 0) return Status::ok();
    return write_error("cannot sync").with_context(path_);
  }

  [[nodiscard]] Status read_at(std::uint64_t offset, std::span<std::byte> bytes) const override {
    while (!bytes.empty()) {
      const ssize_t got = uninterrupted([&] {
        return ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (got < 0) return os_error("cannot read").with_context(path_);
      if (got == 0) return {StatusCode::kCorrupt, path_ + ": ends too early"};
      offset += static_cast<std::uint64_t>(got);
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
    return Status::ok();
  }

 private:
  FileDescriptor file_;
  std::string path_;
  std::uint64_t size_;
};

int open_at(const FileDescriptor& folder, const std::string& name, int flags) {
  return uninterrupted(
      [&] { return ::openat(folder.get(), name.c_str(), flags | O_CLOEXEC, 0600); });
}

}  // namespace

DiskFolder::DiskFolder(std::string path, FileDescriptor folder)
    : path_(std::move(path)), folder_(std::move(folder)) {}

Result<std::unique_ptr<DiskFolder>> DiskFolder::open(const std::string& path, bool create) {
  if (create && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return os_error("cannot make the folder").with_context(path);
  }
  FileDescriptor folder(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!folder.is_open()) return os_error("cannot open the folder").with_context(path);
  return std::unique_ptr<DiskFolder>(new DiskFolder(path, std::move(folder)));
}

Status DiskFolder::lock(const std::string& name) {
  FileDescriptor file(open_at(folder_, name, O_RDWR | O_CREAT | O_NOFOLLOW));
  if (!file.is_open()) return write_error("cannot open").with_context(path_ + "/" + name);
  if (uninterrupted([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return os_error("cannot lock").with_context(path_ + "/" + name);
    return {StatusCode::kUnavailable, path_ + ": another agent uses this folder"};
  }
  lock_ = std::make_unique<FileDescriptor>(std::move(file));
  return Status::ok();
}

bool DiskFolder::is_locked(const std::string& name) const {
  const FileDescriptor file(open_at(folder_, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  return file.is_open() &&
         uninterrupted([&] { return ::flock(file.get(), LOCK_SH | LOCK_NB); }) != 0 &&
         errno == EWOULDBLOCK;
}

Result<std::vector<std::string>> DiskFolder::names() const {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) found.push_back(entry->path().filename().string());
  }
  if (error) return Status(StatusCode::kIo, path_ + ": " + error.message());
  std::ranges::sort(found);
  return found;
}

Result<std::unique_ptr<AppendFile>> DiskFolder::create(const std::string& name) {
  FileDescriptor file(open_at(folder_, name, O_RDWR | O_CREAT | O_EXCL));
  if (!file.is_open()) return write_error("cannot create").with_context(path_ + "/" + name);
  return std::unique_ptr<AppendFile>(
      std::make_unique<DiskFile>(std::move(file), path_ + "/" + name, 0));
}

Result<std::unique_ptr<AppendFile>> DiskFolder::open(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  // A file of a folder that may only be read can be looked at all the same; its first write fails.
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  int fd = open_at(folder_, name, O_RDWR | O_NONBLOCK);
  if (fd < 0 && (errno == EACCES || errno == EROFS)) {
    fd = open_at(folder_, name, O_RDONLY | O_NONBLOCK);
  }
  FileDescriptor file(fd);
  if (!file.is_open()) return os_error("cannot open").with_context(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return os_error("cannot stat").with_context(path);
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kCorrupt, path + ": not a regular file");
  return std::unique_ptr<AppendFile>(
      std::make_unique<DiskFile>(std::move(file), path, static_cast<std::uint64_t>(info.st_size)));
}

Status DiskFolder::remove(const std::string& name) {
  if (::unlinkat(folder_.get(), name.c_str(), 0) == 0) return Status::ok();
  return os_error("cannot remove").with_context(path_ + "/" + name);
}

// Some file systems cannot sync a folder; they say EINVAL.
Status DiskFolder::sync_names() {
  const int synced = uninterrupted([&] { return ::fsync(folder_.get()); });
  if (synced == 0 || errno == EINVAL) return Status::ok();
  return write_error("cannot sync the folder").with_context(path_);
}

}  // namespace cleave::agent
