// SPDX-License-Identifier: Apache-2.0
#include "tests/server/half_handshake.h"

#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <vector>

namespace cleave::test {

HalfHandshake::HalfHandshake(std::uint16_t port, const std::shared_ptr<const TlsContext>& context)
    : client_(port), session_(SSL_new(context->handle())) {
  REQUIRE(session_ != nullptr);
  SSL_set_bio(session_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_verify(session_, SSL_VERIFY_NONE, nullptr);
  SSL_set_connect_state(session_);
  REQUIRE(SSL_do_handshake(session_) == -1);
  send_waiting();
  std::byte byte{};
  for (int done = -1; done != 1; done = SSL_do_handshake(session_)) {
    REQUIRE(client_.receive_exactly({&byte, 1}));
    REQUIRE(BIO_write(SSL_get_rbio(session_), &byte, 1) == 1);
  }
}

HalfHandshake::~HalfHandshake() { SSL_free(session_); }

void HalfHandshake::send_waiting() {
  std::vector<std::byte> bytes(BIO_ctrl_pending(SSL_get_wbio(session_)));
  REQUIRE(BIO_read(SSL_get_wbio(session_), bytes.data(), static_cast<int>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  REQUIRE(client_.send(bytes));
}

void HalfHandshake::finish() { send_waiting(); }

bool HalfHandshake::closed() const { return client_.receive_to_end().has_value(); }

}  // namespace cleave::test
