// SPDX-License-Identifier: Apache-2.0
#include "agent/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "schemas/atomic_file.h"
#include "schemas/model_folder.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

// Each is another process that ended without having fetched anything, at just that moment.
constexpr int kMostTries = 100;

// Whoever held it before may have taken the file away after it was opened here: then a lock on it
// keeps nobody out.
bool is_still_there(const FileDescriptor& file, const std::string& path) {
  struct stat held {};
  struct stat there {};
  return ::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
         held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

bool holds_only(const std::string& folder, const std::string& path) {
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path() != path) return false;
  }
  return !error;
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const std::string path = model_lock_path(folder);
  bool made_folder = false;
  for (int tries = 0; tries < kMostTries; ++tries) {
    if (::mkdir(folder.c_str(), 0777) == 0) {
      made_folder = true;
      CLEAVE_RETURN_IF_ERROR(sync_folder_of(folder));
    } else if (errno != EEXIST) {
      return os_error("cannot make the folder").with_context(folder);
    }
    FileDescriptor file(uninterrupted(
        [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666); }));
    if (!file.is_open()) {
      // The folder may just have gone again; as a link to nowhere it stays so.
      const bool may_come = errno == ENOENT && tries + 1 < kMostTries;
      if (may_come) continue;
      return os_error("cannot lock").with_context(path);
    }
    if (uninterrupted([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return os_error("cannot lock").with_context(path);
      break;
    }
    if (is_still_there(file, path)) return FolderLock(std::move(file), folder, made_folder);
  }
  return Status(StatusCode::kUnavailable,
                folder + ": another cleave-agent is fetching or updating this model");
}

FolderLock::~FolderLock() {
  if (!file_.is_open()) return;  // it was moved from
  const std::string path = model_lock_path(folder_);
  // What somebody else put there in the place of ours is theirs.
  if (!is_still_there(file_, path) || !holds_only(folder_, path)) return;
  ::unlink(path.c_str());
  if (made_folder_) ::rmdir(folder_.c_str());
}

}  // namespace cleave::agent
