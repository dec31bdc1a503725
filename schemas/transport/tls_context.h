// SPDX-License-Identifier: Apache-2.0
//
// Keys, certificates and whom to trust, loaded from files once and then immutable: connections
// share one, and a new one is loaded beside it when the files have changed (tls_credentials.h).
//
// TLS 1.3 alone, no resumption, no early data: every connection proves itself anew, so that who was
// revoked stays out. Nothing is initialized before the first load(), no configuration file is read.
#pragma once

#include <memory>
#include <string>

#include "schemas/status.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

namespace cleave {

enum class TlsRole { kAgent, kServer };

// PEM files; empty: none.
struct TlsFiles {
  std::string ca;           // certificates of the CAs that sign the peer's
  std::string certificate;  // our own, and then those between it and its CA, if any
  std::string key;          // of our own; nobody else may read the file
  std::string crl;          // revocation lists of those CAs

  [[nodiscard]] bool any() const {
    return !ca.empty() || !certificate.empty() || !key.empty() || !crl.empty();
  }
};

class TlsContext {
 public:
  // A server needs certificate and key, and demands a certificate of its peers if there is a `ca`,
  // unless `certificate_optional`. An agent needs `ca`; certificate and key are given together.
  // Errors: kInvalidArgument (a file that is missing among these, that holds no PEM of its kind, a
  // key of another certificate, a key file that others may read), kNotFound, kIo.
  static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files, TlsRole role,
                                                        bool certificate_optional = false);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] TlsRole role() const { return role_; }
  // Of our own certificate, as peer_name(); empty without one.
  [[nodiscard]] const std::string& own_name() const { return own_name_; }
  // Until when our own certificate and the lists of the revoked are good; what ends first, in
  // seconds since 1970. 0: nothing of these was given.
  [[nodiscard]] long long good_until() const { return good_until_; }

  // For Stream and tests.
  [[nodiscard]] ssl_ctx_st* handle() const { return handle_; }

 private:
  TlsContext(ssl_ctx_st* handle, TlsRole role) : handle_(handle), role_(role) {}
  Status configure();
  Status use_own(const TlsFiles& files);
  Status use_trusted(const TlsFiles& files, bool certificate_optional);

  ssl_ctx_st* handle_;
  TlsRole role_;
  std::string own_name_;
  long long good_until_ = 0;
};

// The name in a certificate that stands for the peer: its one common name, a text as Hello.device
// may be. (Names in subjectAltName are DNS names, and a device's need not be one.) Errors:
// kCorrupt.
[[nodiscard]] Result<std::string> peer_name(const x509_st& certificate);

}  // namespace cleave
