// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <utility>

#include "server/session.h"

namespace cleave::server {
namespace {

// What the system holds of this connection and has not sent. Else an answer would stand behind
// megabytes of pieces that the system took already.
constexpr int kUnsentBytes = 64 << 10;

}  // namespace

void Session::handle_fetch(const fbs::Fetch& fetch) {
  const auto& sha256 = *fetch.sha256();
  const FetchableContent content =
      context_.models.find_content(std::span<const std::uint8_t, 32>(sha256.data(), 32));
  const auto count_refused = [&](std::string_view why) {
    ++context_.stats.errors;
    ++context_.stats.fetch_errors;
    log(LogLevel::kInfo, "fetch_failed", fetch.fetch_id(), why);
  };
  const auto refuse_fetch = [&](fbs::ErrorCode code, std::string_view why) {
    count_refused(why);
    send(make_error(fetch.fetch_id(), code, why));
  };
  if (draining_) {
    return refuse_fetch(fbs::ErrorCode::ShuttingDown, "the server is shutting down");
  }
  if (content.file == nullptr || fetch.offset() >= content.bytes.size()) {
    return refuse_fetch(fbs::ErrorCode::NotFound, content.file == nullptr
                                                      ? "this server holds nothing of that SHA-256"
                                                      : "the offset is not before the end");
  }
  const auto rest = content.bytes.subspan(static_cast<std::size_t>(fetch.offset()));
  const auto piece = rest.first(std::min<std::size_t>(rest.size(), fetch.bytes()));
  const auto charged = DeviceLimiter::charge(*account_, piece.size(), Clock::now());
  if (charged.limit != DeviceLimiter::Limit::kNone) {
    const std::string_view why = charged.limit == DeviceLimiter::Limit::kRate
                                     ? "the device asks for more pieces a second than it may"
                                     : "the device takes more bytes a second than it may";
    count_refused(why);
    // Behind the pieces that were granted: an agent that closes on it has those.
    pieces_.push_back(
        {make_error(fetch.fetch_id(), fbs::ErrorCode::Busy, why, charged.retry_after_ms), {}});
    outbox_signal_.cancel();
    return;
  }
  content.file->read_ahead(piece);
  if (!std::exchange(fetched_, true)) {
    (void)setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes,
                     sizeof(kUnsentBytes));
  }
  ++context_.stats.pieces;
  context_.stats.piece_bytes += piece.size();
  pieces_.push_back(
      {make_piece(fetch.fetch_id(), content.bytes.size(), static_cast<std::uint32_t>(piece.size())),
       piece});
  outbox_signal_.cancel();
}

}  // namespace cleave::server
