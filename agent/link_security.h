// SPDX-License-Identifier: Apache-2.0
//
// How the agent's connections are secured: TLS 1.3 to a server that proves its name, with a
// certificate or a token of the device; or plain TCP, to this machine itself unless the user has
// allowed more.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "agent/event_log.h"
#include "agent/net.h"
#include "schemas/endpoint.h"
#include "schemas/status.h"
#include "schemas/transport/stream.h"
#include "schemas/transport/tls_credentials.h"

namespace cleave::agent {

struct LinkSecurity {
  std::shared_ptr<TlsCredentials> tls;  // null: plain TCP
  std::string server_name;              // that its certificate must have; empty: as it is called
  std::string token_file;               // empty: no token is sent
  bool allow_plain = false;             // beyond loopback too
};

// Whether what is said to one of `endpoints` could be read and changed by others.
[[nodiscard]] bool is_open_to_others(const LinkSecurity& security,
                                     std::span<const tcp::endpoint> endpoints);

// Says so, on standard error and in the log, which may be null.
void warn_unencrypted(EventLog* log, const Endpoint& server);

// Whether a connection to `endpoints` may be tried. Errors: kMismatch.
[[nodiscard]] Status check_exposure(const LinkSecurity& security,
                                    std::span<const tcp::endpoint> endpoints);

// The handshake on a connection that was just made, with credentials as the files have them now (or
// as they had them, when they cannot be read now); nothing to do over plain TCP. The error is one
// of TlsError's, or the system's. All must outlive it.
asio::awaitable<error_code> secure_link(Stream& stream, const LinkSecurity& security,
                                        const Endpoint& server);

// For the Hello, as the file has it now; empty without one. Errors: as read_token_file().
[[nodiscard]] Result<std::string> token_of(const LinkSecurity& security);

// The status of an operation that failed with `error`: kMismatch when one end does not trust the
// other, was shown why, and trying again changes nothing; else kUnavailable. What time or a renewed
// file mends is the latter (a clock that is not set yet, an expired certificate or list), as is
// what anybody in between can say: before the handshake is over (`secured`) a refusal proves
// nothing. A certificate that this end refuses is kMismatch all the same: it is what a person has
// to look at. But whoever gets in between can show one, so an agent that goes on comes back later
// (ServerLink::met_stranger()).
[[nodiscard]] StatusCode code_of_link_error(const error_code& error, bool secured);

// One end did not trust the other, or they do not speak the same TLS; not a conversation that
// broke.
[[nodiscard]] bool is_distrust(const error_code& error);

}  // namespace cleave::agent
