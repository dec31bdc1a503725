// SPDX-License-Identifier: Apache-2.0
#include "schemas/transport/tls_credentials.h"

#include <sys/stat.h>

#include <utility>

namespace cleave {

Result<std::shared_ptr<TlsCredentials>> TlsCredentials::load(TlsFiles files, TlsRole role,
                                                             bool certificate_optional) {
  std::shared_ptr<TlsCredentials> credentials(
      new TlsCredentials(std::move(files), role, certificate_optional));
  CLEAVE_RETURN_IF_ERROR(credentials->reload());
  return credentials;
}

Status TlsCredentials::reload() {
  // Before they are read: what changes meanwhile is read once more.
  tried_ = stamps();
  CLEAVE_ASSIGN_OR_RETURN(current_, TlsContext::load(files_, role_, certificate_optional_));
  return Status::ok();
}

Status TlsCredentials::reload_if_changed() { return stamps() == tried_ ? Status::ok() : reload(); }

TlsCredentials::Stamp TlsCredentials::stamp_of(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return {};
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = static_cast<std::uint64_t>(info.st_size),
          .seconds = info.st_mtim.tv_sec,
          .nanoseconds = info.st_mtim.tv_nsec};
}

TlsCredentials::Stamps TlsCredentials::stamps() const {
  return {stamp_of(files_.ca), stamp_of(files_.certificate), stamp_of(files_.key),
          stamp_of(files_.crl)};
}

}  // namespace cleave
