// SPDX-License-Identifier: Apache-2.0
#include "schemas/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <cstdio>

#include "schemas/file_descriptor.h"

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

Status write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error("cannot write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return ::fsync(fd) == 0 ? Status::ok() : os_error("cannot write (fsync)");
}

Status write_new_file(const std::string& path, std::span<const std::byte> bytes) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.is_open()) return os_error("cannot create");
  return write_all(file.get(), bytes);
}

// A rename is durable once its folder is. Some file systems cannot sync a folder; they say EINVAL.
Status sync_folder(const std::string& folder) {
  const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) return os_error("cannot open its folder");
  if (::fsync(directory.get()) == 0 || errno == EINVAL) return Status::ok();
  return os_error("cannot sync its folder");
}

Status replace(const std::string& path, const std::string& temporary,
               std::span<const std::byte> bytes) {
  CLEAVE_RETURN_IF_ERROR(write_new_file(temporary, bytes));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return os_error("cannot rename");
  return sync_folder(folder_of(path));
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
    const ssize_t got = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
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
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return os_error("cannot open").with_context(path);
  auto bytes = read_open_file(file.get(), max_bytes);
  if (!bytes.is_ok()) return bytes.status().with_context(path);
  return bytes;
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  const std::string temporary = temporary_name(path);
  const Status status = replace(path, temporary, bytes);
  if (status.is_ok()) return status;
  ::unlink(temporary.c_str());
  // A missing folder is the writer's own trouble, not a thing that was looked for.
  return Status(StatusCode::kIo, status.message()).with_context(path);
}

}  // namespace cleave
