// SPDX-License-Identifier: Apache-2.0
//
// A Folder on the disk, and the lock that keeps a second process out of it.
#pragma once

#include <string>

#include "agent/spool/folder.h"
#include "schemas/file_descriptor.h"

namespace cleave::agent {

// Files are made for the user alone (0600): what is spooled are pictures.
class DiskFolder final : public Folder {
 public:
  // The folder `path`, made (0700, its parents must exist) when it is not there and `create` is
  // set. Errors: kNotFound, kIo (not a folder, no permission); with the path.
  static Result<std::unique_ptr<DiskFolder>> open(const std::string& path, bool create);

  // Holds `name` in this folder locked until this object goes or the process ends, however it
  // ends. Errors: kUnavailable (another process holds it), kIo.
  [[nodiscard]] Status lock(const std::string& name);
  // Whether another process holds it now. A folder that nobody may lock is not held.
  [[nodiscard]] bool is_locked(const std::string& name) const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Result<std::vector<std::string>> names() const override;
  [[nodiscard]] Result<std::unique_ptr<AppendFile>> create(const std::string& name) override;
  [[nodiscard]] Result<std::unique_ptr<AppendFile>> open(const std::string& name) const override;
  [[nodiscard]] Status remove(const std::string& name) override;
  [[nodiscard]] Status sync_names() override;

 private:
  DiskFolder(std::string path, FileDescriptor folder);
  std::string path_;
  FileDescriptor folder_;
  std::unique_ptr<FileDescriptor> lock_;
};

}  // namespace cleave::agent
