// SPDX-License-Identifier: Apache-2.0
//
// How OpenSSL reaches a socket of ours: as its own BIO for sockets does, but without raising
// SIGPIPE, and by asking the socket for its descriptor each time. One that was closed meanwhile has
// none, and its number may be another connection's already.
#pragma once

#include <boost/asio/ip/tcp.hpp>

struct bio_st;

namespace cleave {

// Null without memory; freed with BIO_free(). `socket` does not block, and outlives it.
[[nodiscard]] bio_st* new_socket_bio(boost::asio::ip::tcp::socket& socket);

}  // namespace cleave
