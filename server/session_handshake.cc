// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/error.hpp>
#include <exception>
#include <utility>

#include "schemas/wire_reader.h"
#include "server/session.h"

namespace cleave::server {
namespace {

std::string_view name_of(const LoadedModel* model) {
  return model == nullptr ? "" : model->file->header().name()->string_view();
}

std::uint64_t ServerStats::*counter_of(const error_code& error) {
  if (error.category() != tls_category()) return &ServerStats::tls_broken;
  switch (static_cast<TlsError>(error.value())) {
    case TlsError::kNoCertificate:
      return &ServerStats::tls_no_certificate;
    case TlsError::kExpired:
      return &ServerStats::tls_expired;
    case TlsError::kRevoked:
      return &ServerStats::tls_revoked;
    case TlsError::kUnknownIssuer:
      return &ServerStats::tls_unknown_issuer;
    case TlsError::kWrongName:
    case TlsError::kBadCertificate:
    case TlsError::kNoRevocationList:
      return &ServerStats::tls_bad_certificate;
    case TlsError::kCertificateDemanded:
    case TlsError::kCertificateExpired:
    case TlsError::kCertificateRevoked:
    case TlsError::kCertificateUnknownIssuer:
    case TlsError::kCertificateRefused:
      return &ServerStats::tls_refused_by_peer;
    case TlsError::kVersion:
      return &ServerStats::tls_version;
    case TlsError::kNotTls:
      return &ServerStats::tls_not_tls;
    case TlsError::kTruncated:
    case TlsError::kBroken:
    case TlsError::kInternal:
      break;
  }
  return &ServerStats::tls_broken;
}

}  // namespace

asio::awaitable<bool> Session::secure() {
  if (const auto context = context_.trust.tls(); context != nullptr) {
    watchdog_.expect_read_until(handshake_deadline_);
    error_code error = co_await socket_.accept_tls(context);
    watchdog_.read_done();
    // Judged by what was read when the handshake began; meanwhile others may have been revoked.
    const auto now = context_.trust.tls();
    if (!error && now != context) error = socket_.judge_peer(*now);
    if (error) {
      count_insecure(error);
      co_return false;
    }
    ++context_.stats.tls_handshakes;
  }
  protocol_.expect(context_.trust.of_peer(socket_.peer()));
  securing_ = false;
  outbox_signal_.cancel();
  co_return true;
}

// An end of ours, or the silence that the watchdog ended, is told of elsewhere.
void Session::count_insecure(const error_code& error) {
  if (error == asio::error::operation_aborted) return;
  ++context_.stats.tls_failed;
  ++(context_.stats.*counter_of(error));
  log_event(LogLevel::kInfo, "tls_failed",
            {{"session", id_},
             {"peer", peer_},
             {"claimed", socket_.claimed_peer()},
             {"why", error.message()}});
}

std::string Session::why_distrusted() const {
  if (const auto context = context_.trust.tls(); context != nullptr) {
    if (const error_code error = socket_.judge_peer(*context)) return error.message();
  }
  if (const auto& token = protocol_.token()) {
    const auto& tokens = context_.trust.tokens();
    const bool known = tokens != nullptr && tokens->admits(protocol_.device(), *token);
    if (!known) return "this device's token is no longer known here";
  }
  return "";
}

void Session::judge_again() {
  if (securing_) return;  // secure() judges by the new files
  // One that said Goodbye is judged too: what it asked for is still under way.
  if (hung_up_ || !socket_.is_open()) return;
  const std::string why = why_distrusted();
  if (why.empty()) {
    if (!protocol_.welcomed()) protocol_.expect(context_.trust.of_peer(socket_.peer()));
    return;
  }
  ++context_.stats.errors;
  ++context_.stats.distrusted;
  log(LogLevel::kWarn, "distrusted", 0, why);
  leave_desk();
  // Nothing is waited for, nothing more is read, and nothing is said but why.
  draining_ = false;
  closing_ = hung_up_ = true;
  outbox_.clear();
  pieces_.clear();
  try {
    send(make_error(0, fbs::ErrorCode::Unauthorized, why));
  } catch (const std::exception&) {
    fail(std::current_exception());
  }
}

void Session::welcome() {
  account_ = context_.devices.account(protocol_.device(), Clock::now());
  address_pass_.handshake_over();
  const LoadedModel* model = protocol_.model();
  const LoadedModel* current = protocol_.current_model();
  ++context_.stats.sessions;
  log_event(LogLevel::kInfo, "welcome",
            {{"session", id_},
             {"peer", peer_},
             {"device", protocol_.device()},
             {"model", name_of(model)},
             {"current", name_of(current)},
             {"version", protocol_.version()},
             {"features", protocol_.features()}});
  std::span<const std::uint8_t> current_identity;
  if (current != nullptr) current_identity = current->file->identity();
  const ProfileData* profile = nullptr;
  // Agents of before there were codec times refuse a profile that has them.
  if (model != nullptr) {
    profile = protocol_.agreed(kFeatureCodecTimes) ? &model->profile : &model->op_times;
  }
  send(make_welcome({.server = "cleave-server",
                     .session_id = id_,
                     .max_inflight = context_.options.max_inflight,
                     .max_picture_bytes = context_.options.picture.max_file_bytes,
                     .profile = profile,
                     .features = protocol_.features(),
                     .heartbeat_ms = protocol_.heartbeat_ms(),
                     .current_model = current_identity,
                     .protocol_version = protocol_.version()}));
}

}  // namespace cleave::server
