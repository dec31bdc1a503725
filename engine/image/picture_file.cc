// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/image/picture.h"
#include "schemas/file_descriptor.h"
#include "schemas/uninterrupted.h"

namespace cleave {
namespace {

Status too_large(const std::string& path, const PictureLimits& limits) {
  return {StatusCode::kOutOfRange, path + ": larger than the limit of " +
                                       std::to_string(limits.max_file_bytes) +
                                       " bytes for a picture file"};
}

// Room for what the file is said to hold, and one byte to see that it ends there. A pipe says 0.
std::size_t first_chunk(std::uint64_t claimed_bytes) {
  constexpr std::uint64_t kSmallest = 4096;
  return static_cast<std::size_t>(std::max(claimed_bytes + 1, kSmallest));
}

// One read that signals do not interrupt; 0 at the end, -1 with errno on an error.
ssize_t read_some(int fd, std::span<std::byte> into) {
  return uninterrupted([&] { return ::read(fd, into.data(), into.size()); });
}

}  // namespace

Result<PictureFormat> detect_format(std::span<const std::byte> file) {
  constexpr std::array<std::uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
  constexpr std::array<std::uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  const auto starts_with = [&](std::span<const std::uint8_t> start) {
    return file.size() >= start.size() &&
           std::equal(start.begin(), start.end(), file.begin(),
                      [](std::uint8_t a, std::byte b) { return std::byte{a} == b; });
  };
  if (starts_with(kJpegStart)) return PictureFormat::kJpeg;
  if (starts_with(kPngStart)) return PictureFormat::kPng;
  return Status(StatusCode::kUnsupported, "neither a JPEG nor a PNG picture");
}

Result<std::vector<std::byte>> read_picture_file(const std::string& path,
                                                 const PictureLimits& limits) {
  const FileDescriptor file(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  struct stat info {};
  if (!file.is_open() || ::fstat(file.get(), &info) != 0) return os_error(path);
  if (S_ISDIR(info.st_mode)) return Status(StatusCode::kIo, path + ": is a directory");
  const auto claimed = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
  if (claimed > limits.max_file_bytes) return too_large(path, limits);
  std::vector<std::byte> bytes(first_chunk(claimed));
  std::size_t used = 0;
  while (true) {
    const ssize_t got = read_some(file.get(), std::span(bytes).subspan(used));
    if (got < 0) return os_error(path);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > limits.max_file_bytes) return too_large(path, limits);
    if (used == bytes.size()) bytes.resize(2 * used);
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace cleave
