// SPDX-License-Identifier: Apache-2.0
//
// Why a TLS connection came to nothing, as error codes with one line for a person each. Which of
// them it is decides what is counted, and whether trying again is of use.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <type_traits>

namespace cleave {

enum class TlsError : int {
  // About the peer's certificate, found here.
  kNoCertificate = 1,  // one is demanded and none was shown
  kExpired,            // or not valid yet
  kRevoked,
  kUnknownIssuer,     // signed by none of the CAs that are trusted here
  kWrongName,         // the server's certificate has other names than the one that was asked for
  kBadCertificate,    // of another purpose, without a name, or what else does not check
  kNoRevocationList,  // none for its issuer, or one that is out of date: nobody is trusted then
  // About our certificate, as the peer says.
  kCertificateDemanded,
  kCertificateExpired,
  kCertificateRevoked,
  kCertificateUnknownIssuer,
  kCertificateRefused,
  // About the conversation.
  kNotTls,     // the first bytes are no TLS
  kVersion,    // the peer does not speak TLS 1.3
  kTruncated,  // the connection ended without the peer's word that it would
  kBroken,     // bytes that do not check, or what else the protocol forbids
  kInternal    // no memory
};

[[nodiscard]] const boost::system::error_category& tls_category();
[[nodiscard]] inline boost::system::error_code make_error_code(TlsError error) {
  return {static_cast<int>(error), tls_category()};
}

// Of an X509_V_ERR_ number, which is not X509_V_OK.
[[nodiscard]] TlsError tls_error_of_verification(long result);
// Of a packed error of OpenSSL's queue, as ERR_get_error() gives it.
[[nodiscard]] TlsError tls_error_of_library(unsigned long packed);

}  // namespace cleave

template <>
struct boost::system::is_error_code_enum<cleave::TlsError> : std::true_type {};
