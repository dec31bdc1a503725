// SPDX-License-Identifier: Apache-2.0
//
// One address to listen on, of several that a name may have.
#pragma once

#include <span>

#include "server/net.h"

namespace cleave::server {

// Opens `acceptor`, which is not open, on the first of `addresses` that can be listened on; which
// one, acceptor.local_endpoint() says. Otherwise it stays closed, and the error is the first
// address's (invalid_argument when there is none).
[[nodiscard]] error_code listen_on_first(tcp::acceptor& acceptor,
                                         std::span<const tcp::endpoint> addresses);

}  // namespace cleave::server
