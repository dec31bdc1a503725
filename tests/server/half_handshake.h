// SPDX-License-Identifier: Apache-2.0
//
// A TLS client that waits before its last word of the handshake.
#pragma once

#include <cstdint>
#include <memory>

#include "schemas/transport/tls_context.h"
#include "tests/server/raw_client.h"

namespace cleave::test {

class HalfHandshake {
 public:
  // Until the server's part is here and ours is ready.
  HalfHandshake(std::uint16_t port, const std::shared_ptr<const TlsContext>& context);
  ~HalfHandshake();
  HalfHandshake(const HalfHandshake&) = delete;
  HalfHandshake& operator=(const HalfHandshake&) = delete;

  void finish();
  // Within some seconds, whatever is said before.
  [[nodiscard]] bool closed() const;

 private:
  void send_waiting();

  RawClient client_;
  ssl_st* session_;
};

}  // namespace cleave::test
