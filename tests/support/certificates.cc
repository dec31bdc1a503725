// SPDX-License-Identifier: Apache-2.0
#include "tests/support/certificates.h"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <utility>

namespace cleave::test {
namespace {

struct File {
  explicit File(const std::string& path, mode_t mode) : file(std::fopen(path.c_str(), "we")) {
    REQUIRE(file != nullptr);
    REQUIRE(chmod(path.c_str(), mode) == 0);
  }
  ~File() { std::fclose(file); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::FILE* file;
};

void add_name(X509_NAME* subject, const std::string& name) {
  if (name.empty()) return;
  const auto* bytes = reinterpret_cast<const unsigned char*>(name.data());
  REQUIRE(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, bytes,
                                     static_cast<int>(name.size()), -1, 0) == 1);
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* begin_certificate(long serial, EVP_PKEY* key, const Leaf& leaf) {
  X509* certificate = X509_new();
  REQUIRE(certificate != nullptr);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), leaf.from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), leaf.until_seconds);
  X509_set_pubkey(certificate, key);
  add_name(X509_get_subject_name(certificate), leaf.name);
  add_name(X509_get_subject_name(certificate), leaf.second_name);
  return certificate;
}

void write_certificate(const std::string& path, X509* certificate) {
  REQUIRE(PEM_write_X509(File(path, 0644).file, certificate) == 1);
}

}  // namespace

TestAuthority::TestAuthority(std::string folder, const std::string& name)
    : folder_(std::move(folder)), name_(name), file_(folder_ + "/" + name + ".ca") {
  begin(name, serial_);
  finish(certificate_, key_);
}

TestAuthority::TestAuthority(std::string folder, const std::string& name, TestAuthority& above)
    : folder_(std::move(folder)), name_(name), file_(folder_ + "/" + name + ".ca") {
  begin(name, ++above.serial_);
  finish(above.certificate_, above.key_);
}

void TestAuthority::begin(const std::string& name, long serial) {
  key_ = EVP_EC_gen("P-256");
  REQUIRE(key_ != nullptr);
  certificate_ = begin_certificate(serial, key_, {.name = name, .sans = {}});
}

void TestAuthority::finish(X509* issuer, EVP_PKEY* signer) {
  X509_set_issuer_name(certificate_, X509_get_subject_name(issuer));
  extend(certificate_, issuer, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate_, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(certificate_, issuer, NID_subject_key_identifier, "hash");
  REQUIRE(X509_sign(certificate_, signer, EVP_sha256()) > 0);
  write_certificate(file_, certificate_);
}

TestAuthority::~TestAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

TlsFiles TestAuthority::issue(const std::string& to, const Leaf& leaf, bool revoked) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = begin_certificate(++serial_, key, leaf);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  extend(certificate, certificate_, NID_basic_constraints, "critical,CA:FALSE");
  extend(certificate, certificate_, NID_ext_key_usage,
         leaf.sans.empty() ? "clientAuth" : "serverAuth");
  std::string sans;
  for (const std::string& san : leaf.sans) sans += (sans.empty() ? "" : ",") + san;
  if (!sans.empty()) extend(certificate, certificate_, NID_subject_alt_name, sans);
  REQUIRE(X509_sign(certificate, key_, EVP_sha256()) > 0);
  const std::string base = folder_ + "/" + to;
  write_certificate(base + ".crt", certificate);
  REQUIRE(PEM_write_PrivateKey(File(base + ".key", 0600).file, key, nullptr, nullptr, 0, nullptr,
                               nullptr) == 1);
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (revoked) revoked_.push_back(serial_);
  return {.ca = "", .certificate = base + ".crt", .key = base + ".key", .crl = ""};
}

std::string TestAuthority::write_list(const std::string& to, long until_seconds) {
  X509_CRL* list = X509_CRL_new();
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate_));
  ASN1_TIME* time = X509_gmtime_adj(nullptr, -7'200);
  X509_CRL_set1_lastUpdate(list, time);
  for (const long serial : revoked_) {
    X509_REVOKED* revoked = X509_REVOKED_new();
    ASN1_INTEGER* number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(revoked, number);
    X509_REVOKED_set_revocationDate(revoked, time);
    ASN1_INTEGER_free(number);
    X509_CRL_add0_revoked(list, revoked);
  }
  X509_gmtime_adj(time, until_seconds);
  X509_CRL_set1_nextUpdate(list, time);
  ASN1_TIME_free(time);
  X509_CRL_sort(list);
  REQUIRE(X509_CRL_sign(list, key_, EVP_sha256()) > 0);
  const std::string path = folder_ + "/" + to;
  REQUIRE(PEM_write_X509_CRL(File(path, 0644).file, list) == 1);
  X509_CRL_free(list);
  return path;
}

}  // namespace cleave::test
