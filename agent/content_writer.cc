// SPDX-License-Identifier: Apache-2.0
#include "agent/content_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <memory>
#include <utility>

#include "schemas/atomic_file.h"
#include "schemas/model_folder.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;

}  // namespace

ContentWriter::ContentWriter(FileDescriptor file, std::string path, const Sha256Digest& sha256,
                             std::uint64_t max_bytes)
    : file_(std::move(file)), path_(std::move(path)), sha256_(sha256), max_bytes_(max_bytes) {}

Result<ContentWriter> ContentWriter::open(const std::string& folder, const Sha256Digest& sha256,
                                          std::uint64_t max_bytes) {
  std::string path = model_part_path(folder, sha256);
  FileDescriptor file(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666); }));
  if (!file.is_open()) return os_error("cannot create").with_context(path);
  ContentWriter writer(std::move(file), std::move(path), sha256, max_bytes);
  CLEAVE_RETURN_IF_ERROR(writer.hash_what_is_there());
  return writer;
}

Status ContentWriter::hash_what_is_there() {
  struct stat info {};
  if (::fstat(file_.get(), &info) != 0) return os_error("cannot stat").with_context(path_);
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes_) return restart();
  const auto buffer = std::make_unique<std::array<std::byte, kReadBytes>>();
  for (;;) {
    const ssize_t got =
        ::pread(file_.get(), buffer->data(), buffer->size(), static_cast<off_t>(bytes_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error("cannot read").with_context(path_);
    if (got == 0) return Status::ok();
    hash_.update(std::span(*buffer).first(static_cast<std::size_t>(got)));
    bytes_ += static_cast<std::uint64_t>(got);
  }
}

Status ContentWriter::append(std::span<const std::byte> bytes) {
  if (bytes.size() > max_bytes_ - bytes_) {
    return {StatusCode::kCorrupt, path_ + ": more bytes came than there are"};
  }
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return os_error("cannot write").with_context(path_);
    hash_.update(bytes.first(static_cast<std::size_t>(written)));
    bytes_ += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return Status::ok();
}

Status ContentWriter::verify() {
  CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest found, hash_.finish());
  if (found != sha256_) {
    CLEAVE_RETURN_IF_ERROR(restart());
    return {StatusCode::kCorrupt, "what came has another SHA-256 than " + to_hex(sha256_)};
  }
  const int synced = uninterrupted([&] { return ::fsync(file_.get()); });
  return synced == 0 ? Status::ok() : os_error("cannot write (fsync)").with_context(path_);
}

Status ContentWriter::move_to(const std::string& path) {
  if (std::rename(path_.c_str(), path.c_str()) != 0) {
    return os_error("cannot rename").with_context(path_);
  }
  path_ = path;
  return sync_folder_of(path);
}

Status ContentWriter::restart() {
  hash_ = Sha256();
  bytes_ = 0;
  const int cut = uninterrupted([&] { return ::ftruncate(file_.get(), 0); });
  return cut == 0 ? Status::ok() : os_error("cannot shorten").with_context(path_);
}

}  // namespace cleave::agent
