// SPDX-License-Identifier: Apache-2.0
//
// What the server proves itself with, and whom it believes: certificates and tokens, loaded
// together and replaced together. Runs on the network thread.
#pragma once

#include <memory>
#include <string>

#include "schemas/transport/tls_credentials.h"
#include "server/peer_trust.h"
#include "server/server_options.h"

namespace cleave::server {

class Trust {
 public:
  // Errors: kInvalidArgument (options that leave the server open or contradict each other, files
  // that do not hold what they should), kNotFound, kIo. Before, and without options: plain TCP, and
  // everybody is believed.
  Status load(const TrustOptions& options);
  // All the files anew. After an error everything is as it was. REQUIRES: load() was ok.
  Status reload();

  // For connections that begin; null: they are plain TCP.
  [[nodiscard]] std::shared_ptr<const TlsContext> tls() const {
    return tls_ == nullptr ? nullptr : tls_->current();
  }
  // Of a peer with this certificate; empty: with none.
  [[nodiscard]] PeerTrust of_peer(std::string certificate_name) const;
  // Null: no token helps.
  [[nodiscard]] const std::shared_ptr<const TokenTable>& tokens() const { return tokens_; }
  [[nodiscard]] bool is_open() const { return tls_ == nullptr && tokens_ == nullptr; }

  // Logs until when certificate and revocation list are good: a warning, and true, when that is
  // soon or past.
  bool log_expiry() const;

 private:
  TrustOptions options_;
  std::shared_ptr<TlsCredentials> tls_;
  std::shared_ptr<const TokenTable> tokens_;
};

}  // namespace cleave::server
