// SPDX-License-Identifier: Apache-2.0
#include "agent/link_security.h"

#include <algorithm>
#include <cstdio>

#include "schemas/secret_file.h"

namespace cleave::agent {
namespace {

auto first_beyond_loopback(std::span<const tcp::endpoint> endpoints) {
  return std::ranges::find_if(
      endpoints, [](const tcp::endpoint& each) { return !each.address().is_loopback(); });
}

}  // namespace

bool is_open_to_others(const LinkSecurity& security, std::span<const tcp::endpoint> endpoints) {
  return security.tls == nullptr && first_beyond_loopback(endpoints) != endpoints.end();
}

void warn_unencrypted(EventLog* log, const Endpoint& server) {
  static constexpr const char* kWhy =
      "--allow-plain: everybody in between may read and change pictures and answers";
  std::fprintf(stderr, "cleave-agent: %s: %s\n", to_string(server).c_str(), kWhy);
  log_event(log, LogLevel::kWarn, "unencrypted", {{"server", to_string(server)}, {"why", kWhy}});
}

Status check_exposure(const LinkSecurity& security, std::span<const tcp::endpoint> endpoints) {
  if (!is_open_to_others(security, endpoints)) return Status::ok();
  const auto beyond = first_beyond_loopback(endpoints);
  const std::string where = beyond->address().to_string() + " is another machine";
  if (!security.token_file.empty()) {
    return {StatusCode::kMismatch, where +
                                       ", and a token without TLS is seen by who listens in: "
                                       "give --tls-ca"};
  }
  if (security.allow_plain) return Status::ok();
  return {StatusCode::kMismatch,
          where +
              ", and plain TCP is open to everybody in between: give --tls-ca, or --allow-plain "
              "on a network that you trust"};
}

asio::awaitable<error_code> secure_link(Stream& stream, const LinkSecurity& security,
                                        const Endpoint& server) {
  if (security.tls == nullptr) co_return error_code();
  if (const Status status = security.tls->reload_if_changed(); !status.is_ok()) {
    std::fprintf(stderr, "cleave-agent: the credentials have changed and cannot be used yet: %s\n",
                 status.message().c_str());
  }
  const std::string& name = security.server_name.empty() ? server.host : security.server_name;
  co_return co_await stream.connect_tls(security.tls->current(), name);
}

Result<std::string> token_of(const LinkSecurity& security) {
  if (security.token_file.empty()) return std::string();
  return read_token_file(security.token_file);
}

StatusCode code_of_link_error(const error_code& error, bool secured) {
  if (error.category() != tls_category()) return StatusCode::kUnavailable;
  switch (static_cast<TlsError>(error.value())) {
    case TlsError::kRevoked:
    case TlsError::kUnknownIssuer:
    case TlsError::kWrongName:
    case TlsError::kBadCertificate:
      return StatusCode::kMismatch;
    case TlsError::kCertificateDemanded:
    case TlsError::kCertificateRevoked:
    case TlsError::kCertificateUnknownIssuer:
      return secured ? StatusCode::kMismatch : StatusCode::kUnavailable;
    default:
      return StatusCode::kUnavailable;
  }
}

bool is_distrust(const error_code& error) {
  if (error.category() != tls_category()) return false;
  switch (static_cast<TlsError>(error.value())) {
    case TlsError::kTruncated:
    case TlsError::kBroken:
    case TlsError::kInternal:
      return false;
    default:
      return true;
  }
}

}  // namespace cleave::agent
