// SPDX-License-Identifier: Apache-2.0
//
// Credentials that may change while the program runs: certificates are renewed, devices revoked.
// The files are read again when somebody asks for it, or when they have changed. New connections
// take what is current(); those that are there keep what they began with.
//
// Used by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "schemas/status.h"
#include "schemas/transport/tls_context.h"

namespace cleave {

class TlsCredentials {
 public:
  // Errors: as TlsContext::load().
  static Result<std::shared_ptr<TlsCredentials>> load(TlsFiles files, TlsRole role,
                                                      bool certificate_optional = false);

  [[nodiscard]] const std::shared_ptr<const TlsContext>& current() const { return current_; }

  // All of it anew. After an error (as TlsContext::load()) current() is as it was.
  Status reload();
  // If one of the files is another than at the last try, successful or not: as when a certificate
  // and its key are replaced one after the other.
  Status reload_if_changed();

 private:
  // What tells one state of a file from another; all zero for no file.
  struct Stamp {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 4>;

  TlsCredentials(TlsFiles files, TlsRole role, bool certificate_optional)
      : files_(std::move(files)), role_(role), certificate_optional_(certificate_optional) {}
  static Stamp stamp_of(const std::string& path);
  [[nodiscard]] Stamps stamps() const;

  TlsFiles files_;
  TlsRole role_;
  bool certificate_optional_;
  Stamps tried_{};
  std::shared_ptr<const TlsContext> current_;
};

}  // namespace cleave
