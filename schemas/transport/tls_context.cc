// SPDX-License-Identifier: Apache-2.0
#include "schemas/transport/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

#include "schemas/atomic_file.h"
#include "schemas/secret_file.h"
#include "schemas/text_check.h"
#include "schemas/transport/cpu_ciphers.h"
#include "schemas/transport/stream.h"
#include "schemas/wire_reader.h"

namespace cleave {
namespace {

constexpr std::size_t kMaxPemBytes = 4u << 20;
constexpr std::size_t kMaxKeyBytes = 64u << 10;

using Bytes = std::vector<std::byte>;

template <typename T, void (*Free)(T*)>
struct Freed {
  void operator()(T* value) const { Free(value); }
};
using BioPtr = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509, X509_free>>;
using RevokedPtr = std::unique_ptr<X509_CRL, Freed<X509_CRL, X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

// OpenSSL asks the terminal by itself otherwise.
int no_password(char* /*buffer*/, int /*size*/, int /*for_writing*/, void* /*user*/) { return -1; }

// OpenSSL's words name what is wrong, never what was read.
Status unusable(const std::string& path, const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return {StatusCode::kInvalidArgument,
          path + ": " + what + (reason == nullptr ? "" : std::string(" (") + reason + ")")};
}

Result<Bytes> read_pem(const std::string& path) {
  auto bytes = read_file(path, kMaxPemBytes);
  if (bytes.is_ok() || bytes.status().code() == StatusCode::kNotFound ||
      bytes.status().code() == StatusCode::kIo) {
    return bytes;
  }
  return Status(StatusCode::kInvalidArgument, bytes.status().message());
}

BioPtr bio_over(const Bytes& bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

// Every object of one kind in a PEM file, one at least. Other kinds are skipped.
template <typename Pointer, typename Read>
Result<std::vector<Pointer>> read_all(const std::string& path, Read read, const char* kind) {
  CLEAVE_ASSIGN_OR_RETURN(const Bytes bytes, read_pem(path));
  const BioPtr bio = bio_over(bytes);
  std::vector<Pointer> all;
  ERR_clear_error();
  while (bio != nullptr) {
    Pointer next(read(bio.get(), nullptr, no_password, nullptr));
    if (next == nullptr) break;
    all.push_back(std::move(next));
  }
  const bool to_the_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (all.empty() || !to_the_end) return unusable(path, std::string("holds no good ") + kind);
  ERR_clear_error();
  return all;
}

Result<std::vector<CertificatePtr>> read_certificates(const std::string& path) {
  return read_all<CertificatePtr>(path, PEM_read_bio_X509, "certificate in PEM");
}

Result<KeyPtr> read_key(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(Bytes bytes, read_secret_file(path, kMaxKeyBytes));
  ERR_clear_error();
  KeyPtr key;
  if (const BioPtr bio = bio_over(bytes); bio != nullptr) {
    key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (key == nullptr) return unusable(path, "holds no private key in PEM without a password");
  return key;
}

long long seconds_since_1970(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

void take_earlier(long long& until, long long other) {
  if (other > 0 && (until == 0 || other < until)) until = other;
}

Status check_given(const TlsFiles& files, TlsRole role) {
  const auto missing = [](const char* what) { return Status(StatusCode::kInvalidArgument, what); };
  if (files.certificate.empty() != files.key.empty()) {
    return missing("a certificate and its private key are given together");
  }
  if (role == TlsRole::kServer && files.certificate.empty()) {
    return missing("a server with TLS needs a certificate and its private key");
  }
  if (files.ca.empty() && (role == TlsRole::kAgent || !files.crl.empty())) {
    return missing(role == TlsRole::kAgent
                       ? "TLS needs the certificate of the CA that signs the server's"
                       : "a list of revoked certificates is of use only with their CA's");
  }
  return Status::ok();
}

// No handshake without these; nothing of older protocols, and nothing of one connection in another.
bool restrict(SSL_CTX* handle) {
  SSL_CTX_set_options(handle, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(handle, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  // A call that meets a key update comes back to the executor: else who sends nothing but these
  // would keep its thread for itself.
  SSL_CTX_clear_mode(handle, SSL_MODE_AUTO_RETRY);
  return SSL_CTX_set_min_proto_version(handle, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_num_tickets(handle, 0) == 1 &&
         SSL_CTX_set_ciphersuites(handle, preferred_ciphersuites()) == 1 &&
         SSL_CTX_set_max_send_fragment(handle, static_cast<long>(Stream::kRecordBytes)) == 1;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(handle_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, TlsRole role,
                                                           bool certificate_optional) {
  CLEAVE_RETURN_IF_ERROR(check_given(files, role));
  (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  SSL_CTX* handle =
      SSL_CTX_new(role == TlsRole::kServer ? TLS_server_method() : TLS_client_method());
  if (handle == nullptr) return Status(StatusCode::kInternal, "OpenSSL cannot be started");
  std::shared_ptr<TlsContext> context(new TlsContext(handle, role));
  if (!restrict(handle)) return Status(StatusCode::kInternal, "OpenSSL has no TLS 1.3");
  if (!files.certificate.empty()) CLEAVE_RETURN_IF_ERROR(context->use_own(files));
  if (!files.ca.empty()) CLEAVE_RETURN_IF_ERROR(context->use_trusted(files, certificate_optional));
  return std::shared_ptr<const TlsContext>(std::move(context));
}

Status TlsContext::use_own(const TlsFiles& files) {
  CLEAVE_ASSIGN_OR_RETURN(auto certificates, read_certificates(files.certificate));
  CLEAVE_ASSIGN_OR_RETURN(const KeyPtr key, read_key(files.key));
  if (SSL_CTX_use_certificate(handle_, certificates.front().get()) != 1) {
    return unusable(files.certificate, "cannot be used");
  }
  for (std::size_t i = 1; i < certificates.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(handle_, certificates[i].get()) != 1) {
      return unusable(files.certificate, "has a certificate that cannot be used");
    }
  }
  if (SSL_CTX_use_PrivateKey(handle_, key.get()) != 1 || SSL_CTX_check_private_key(handle_) != 1) {
    return unusable(files.key, "is not the key of " + files.certificate);
  }
  take_earlier(good_until_, seconds_since_1970(X509_get0_notAfter(certificates.front().get())));
  // A server may do without one.
  if (auto name = peer_name(*certificates.front()); name.is_ok()) {
    own_name_ = std::move(name).value();
  } else if (role_ == TlsRole::kAgent) {
    return Status(StatusCode::kInvalidArgument, files.certificate + ": " + name.status().message());
  }
  return Status::ok();
}

Status TlsContext::use_trusted(const TlsFiles& files, bool certificate_optional) {
  CLEAVE_ASSIGN_OR_RETURN(const auto authorities, read_certificates(files.ca));
  X509_STORE* store = SSL_CTX_get_cert_store(handle_);
  for (const CertificatePtr& authority : authorities) {
    const bool added =
        X509_STORE_add_cert(store, authority.get()) == 1 &&
        (role_ == TlsRole::kAgent || SSL_CTX_add_client_CA(handle_, authority.get()) == 1);
    if (!added) return unusable(files.ca, "has a certificate that cannot be used");
  }
  if (!files.crl.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(const auto lists,
                            read_all<RevokedPtr>(files.crl, PEM_read_bio_X509_CRL,
                                                 "list of revoked certificates in PEM"));
    for (const RevokedPtr& list : lists) {
      if (X509_STORE_add_crl(store, list.get()) != 1) return unusable(files.crl, "cannot be used");
      take_earlier(good_until_, seconds_since_1970(X509_CRL_get0_nextUpdate(list.get())));
    }
    if (X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1) {
      return unusable(files.crl, "cannot be used");
    }
  }
  const bool demanded = role_ == TlsRole::kServer && !certificate_optional;
  SSL_CTX_set_verify(handle_, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  return Status::ok();
}

Result<std::string> peer_name(const x509_st& certificate) {
  const auto refuse = [](const std::string& why) {
    return Status(StatusCode::kCorrupt, "the certificate's common name (CN) " + why);
  };
  X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return refuse("is missing");
  if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return refuse("is there twice");
  unsigned char* bytes = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return refuse("is not a text");
  const std::string name(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  if (name.empty()) return refuse("is empty");
  const Status text = check_text(name, kMaxTextBytes);
  if (!text.is_ok()) return refuse("is " + text.message());
  return name;
}

}  // namespace cleave
