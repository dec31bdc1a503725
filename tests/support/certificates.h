// SPDX-License-Identifier: Apache-2.0
//
// A certificate authority inside the test's process, for what toolchains/cleave-ca.sh would not
// issue too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "schemas/transport/tls_context.h"

struct evp_pkey_st;

namespace cleave::test {

struct Leaf {
  std::string name;               // the common name; empty: none
  std::vector<std::string> sans;  // "DNS:x", "IP:x"; a server's if there are any, else a device's
  long from_seconds = -3'600;     // of now
  long until_seconds = 3'600;
  std::string second_name = {};  // another common name; empty: none
};

class TestAuthority {
 public:
  // Writes FOLDER/NAME.ca.
  TestAuthority(std::string folder, const std::string& name);
  // One that `above` vouches for, as its newest certificate.
  TestAuthority(std::string folder, const std::string& name, TestAuthority& above);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  [[nodiscard]] const std::string& file() const { return file_; }

  // Writes certificate and key to FOLDER/`to`.crt and .key; gives these two back. `revoked`: it is
  // in the lists from now on.
  TlsFiles issue(const std::string& to, const Leaf& leaf, bool revoked = false);
  // Writes the list of the revoked to FOLDER/`to`; gives its path.
  std::string write_list(const std::string& to, long until_seconds = 3'600);
  // The newest one issued is revoked from the next list on.
  void revoke_last() { revoked_.push_back(serial_); }

 private:
  void begin(const std::string& name, long serial);
  void finish(x509_st* issuer, evp_pkey_st* signer);

  std::string folder_, name_, file_;
  evp_pkey_st* key_;
  x509_st* certificate_;
  long serial_ = 1;
  std::vector<long> revoked_;
};

}  // namespace cleave::test
