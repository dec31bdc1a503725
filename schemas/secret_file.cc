// SPDX-License-Identifier: Apache-2.0
#include "schemas/secret_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "schemas/file_descriptor.h"

namespace cleave {
namespace {

// Of the group: write and execute. Of others: anything. A group that may read is how servers get at
// keys that belong to root.
constexpr mode_t kTooOpen = 037;

Status check_secrecy(const struct stat& info) {
  const auto refuse = [](const char* why) { return Status(StatusCode::kInvalidArgument, why); };
  if (!S_ISREG(info.st_mode)) return refuse("not a regular file");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return refuse("belongs to another user: a secret must be its user's own, or root's");
  }
  if ((info.st_mode & kTooOpen) != 0) {
    return refuse("others may read or change it, so it is no secret: chmod 600 it, and replace it");
  }
  return Status::ok();
}

}  // namespace

Result<std::vector<std::byte>> read_secret_file(const std::string& path, std::size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) return os_error(path);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return os_error(path);
  if (const Status status = check_secrecy(info); !status.is_ok()) return status.with_context(path);
  std::vector<std::byte> bytes(
      std::min<std::size_t>(static_cast<std::size_t>(info.st_size) + 1, max_bytes + 1));
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(path);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  if (filled == bytes.size()) {
    return Status(StatusCode::kInvalidArgument, path + ": longer than it may be, or growing");
  }
  bytes.resize(filled);
  return bytes;
}

bool equal_in_constant_time(std::span<const std::uint8_t> one,
                            std::span<const std::uint8_t> other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

bool is_token(std::string_view text) {
  return text.size() >= kMinTokenBytes && text.size() <= kMaxTokenBytes &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Result<std::string> read_token_file(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(auto bytes, read_secret_file(path, kMaxTokenBytes + 2));
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string token(is_token(text) ? text : std::string_view());
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (!token.empty()) return token;
  return Status(StatusCode::kInvalidArgument,
                path + ": not a token: one line of " + std::to_string(kMinTokenBytes) + " to " +
                    std::to_string(kMaxTokenBytes) + " printable characters without spaces");
}

}  // namespace cleave
