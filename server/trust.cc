// SPDX-License-Identifier: Apache-2.0
#include "server/trust.h"

#include <ctime>
#include <utility>

#include "server/event_log.h"

namespace cleave::server {
namespace {

constexpr long long kSoonSeconds = 14LL * 24 * 3600;

Result<std::shared_ptr<const TokenTable>> read_tokens(const std::string& path) {
  if (path.empty()) return std::shared_ptr<const TokenTable>();
  CLEAVE_ASSIGN_OR_RETURN(TokenTable table, TokenTable::read(path));
  return std::shared_ptr<const TokenTable>(std::make_shared<TokenTable>(std::move(table)));
}

std::string utc_text(long long seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace

Status Trust::load(const TrustOptions& options) {
  options_ = options;
  if (options.tls.any() && options.tls.ca.empty() && options.tokens.empty()) {
    return {StatusCode::kInvalidArgument,
            "TLS alone lets everybody in: give --tls-ca (the CA of the devices' certificates), "
            "--tokens, or both"};
  }
  CLEAVE_ASSIGN_OR_RETURN(tokens_, read_tokens(options.tokens));
  if (!options.tls.any()) return Status::ok();
  const bool certificate_optional = !options.tokens.empty();
  CLEAVE_ASSIGN_OR_RETURN(
      tls_, TlsCredentials::load(options.tls, TlsRole::kServer, certificate_optional));
  return Status::ok();
}

Status Trust::reload() {
  CLEAVE_ASSIGN_OR_RETURN(auto tokens, read_tokens(options_.tokens));
  if (tls_ != nullptr) CLEAVE_RETURN_IF_ERROR(tls_->reload());
  tokens_ = std::move(tokens);
  return Status::ok();
}

PeerTrust Trust::of_peer(std::string certificate_name) const {
  return {
      .demanded = !is_open(), .certificate_name = std::move(certificate_name), .tokens = tokens_};
}

bool Trust::log_expiry() const {
  if (tls_ == nullptr || tls_->current()->good_until() == 0) return false;
  const long long until = tls_->current()->good_until();
  const bool soon = until - static_cast<long long>(std::time(nullptr)) < kSoonSeconds;
  log_event(
      soon ? LogLevel::kWarn : LogLevel::kInfo, "credentials",
      {{"good_until", utc_text(until)}, {"tokens", tokens_ == nullptr ? 0 : tokens_->size()}});
  return soon;
}

}  // namespace cleave::server
