// SPDX-License-Identifier: Apache-2.0
//
// Whether a device is who its Hello says, decided from what the transport knows of it: pure, so
// that a fuzzer can drive it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/token_table.h"

namespace cleave::server {

struct PeerTrust {
  bool demanded = false;         // else every name is believed
  std::string certificate_name;  // proved by the transport; empty: no certificate was shown
  std::shared_ptr<const TokenTable> tokens = nullptr;  // null: no token helps

  // Why the device is not believed; empty: it is.
  [[nodiscard]] std::string refuse(std::string_view device, std::string_view token) const {
    if (!demanded) return "";
    if (!certificate_name.empty()) {
      return certificate_name == device
                 ? ""
                 : "the certificate is of another device than the Hello; leave --device out";
    }
    if (tokens == nullptr) return "this server demands a certificate";
    if (token.empty()) return "this server demands a token";
    return tokens->admits(device, token) ? "" : "no such token of this device is known here";
  }
};

}  // namespace cleave::server
