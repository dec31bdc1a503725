// SPDX-License-Identifier: Apache-2.0
#include "schemas/transport/tls_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace cleave {
namespace {

const char* text_of(TlsError error) {
  switch (error) {
    case TlsError::kNoCertificate:
      return "the peer has shown no certificate";
    case TlsError::kExpired:
      return "the peer's certificate has expired, or is not valid yet";
    case TlsError::kRevoked:
      return "the peer's certificate is revoked";
    case TlsError::kUnknownIssuer:
      return "the peer's certificate is of no CA that is trusted here";
    case TlsError::kWrongName:
      return "the server's certificate is of another name than the server has here";
    case TlsError::kBadCertificate:
      return "the peer's certificate is of another purpose, without a name, or spoiled";
    case TlsError::kNoRevocationList:
      return "there is no list of revoked certificates of the peer's CA, or it is out of date";
    case TlsError::kCertificateDemanded:
      return "the peer demands a certificate and got none";
    case TlsError::kCertificateExpired:
      return "the peer says that our certificate has expired";
    case TlsError::kCertificateRevoked:
      return "the peer says that our certificate is revoked";
    case TlsError::kCertificateUnknownIssuer:
      return "the peer says that our certificate is of no CA that it trusts";
    case TlsError::kCertificateRefused:
      return "the peer refuses our certificate";
    case TlsError::kNotTls:
      return "the peer does not speak TLS";
    case TlsError::kVersion:
      return "the peer does not speak TLS 1.3";
    case TlsError::kTruncated:
      return "the connection ended in the middle of TLS";
    case TlsError::kBroken:
      return "the peer broke the TLS protocol, or somebody changed its bytes";
    case TlsError::kInternal:
      break;
  }
  return "no memory for TLS";
}

class Category final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "tls"; }
  [[nodiscard]] std::string message(int value) const override {
    return text_of(static_cast<TlsError>(value));
  }
};

}  // namespace

const boost::system::error_category& tls_category() {
  static const Category category;
  return category;
}

TlsError tls_error_of_verification(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return TlsError::kExpired;
    case X509_V_ERR_CERT_REVOKED:
      return TlsError::kRevoked;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return TlsError::kNoRevocationList;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return TlsError::kWrongName;
    // A signature that does not check comes from a CA of the same name that is another one.
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return TlsError::kUnknownIssuer;
    default:
      return TlsError::kBadCertificate;
  }
}

TlsError tls_error_of_library(unsigned long packed) {
  if (ERR_GET_LIB(packed) != ERR_LIB_SSL) return TlsError::kBroken;
  switch (ERR_GET_REASON(packed)) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return TlsError::kNoCertificate;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return TlsError::kCertificateDemanded;
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return TlsError::kCertificateExpired;
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return TlsError::kCertificateRevoked;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return TlsError::kCertificateUnknownIssuer;
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return TlsError::kCertificateRefused;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
      return TlsError::kVersion;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL:
      return TlsError::kNotTls;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return TlsError::kTruncated;
    case ERR_R_MALLOC_FAILURE:
      return TlsError::kInternal;
    default:
      return TlsError::kBroken;
  }
}

}  // namespace cleave
