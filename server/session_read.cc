// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "server/session.h"

namespace cleave::server {

asio::awaitable<bool> Session::read_exactly(std::span<std::byte> bytes,
                                            Clock::duration first_byte) {
  Clock::duration timeout = first_byte;
  while (!bytes.empty()) {
    watchdog_.expect_read(timeout);
    const auto [error, count] =
        co_await socket_.async_read_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    if (error) co_return false;
    context_.stats.bytes_in += count;
    bytes = bytes.subspan(count);
    timeout = context_.options.stall_timeout;
  }
  watchdog_.read_done();
  co_return true;
}

asio::awaitable<bool> Session::read_frame(const FrameLimits& limits, Incoming& frame) {
  std::array<std::byte, kFrameHeaderBytes> header{};
  const auto patience =
      model_ == nullptr ? context_.options.handshake_timeout : context_.options.idle_timeout;
  if (!co_await read_exactly(header, patience)) co_return false;
  const auto decoded = decode_frame_header(header, limits);
  if (!decoded.is_ok()) {
    const bool version = decoded.status().code() == StatusCode::kMismatch;
    refuse(version ? fbs::ErrorCode::VersionMismatch : fbs::ErrorCode::Protocol,
           decoded.status().message());
    co_return false;
  }
  frame.header = *decoded;
  message_storage_.resize((frame.header.message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          frame.header.message_bytes);
  if (!co_await read_exactly(message, context_.options.stall_timeout)) co_return false;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) {
    refuse(fbs::ErrorCode::Protocol, envelope.status().message());
    co_return false;
  }
  frame.envelope = *envelope;
  co_return true;
}

asio::awaitable<bool> Session::skip_attachment(std::uint64_t bytes) {
  std::array<std::byte, 16384> scrap;
  while (bytes > 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, scrap.size()));
    if (!co_await read_exactly(std::span(scrap).first(step), context_.options.stall_timeout)) {
      co_return false;
    }
    bytes -= step;
  }
  co_return true;
}

}  // namespace cleave::server
