// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "server/session.h"

namespace cleave::server {

asio::awaitable<bool> Session::read_exactly(std::span<std::byte> bytes, ReadPace& pace) {
  silence_ = Silence::kWithinFrame;
  while (!bytes.empty()) {
    if (hung_up_) co_return false;
    watchdog_.expect_read_until(
        std::min(pace.latest, Clock::now() + context_.options.stall_timeout));
    const auto [error, count] =
        co_await socket_.async_read_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    if (error) co_return false;
    context_.stats.bytes_in += count;
    bytes = bytes.subspan(count);
    if (pace.bytes_put_it_off) pace.latest = put_off(pace.latest, count);
  }
  watchdog_.read_done();
  co_return !hung_up_;
}

asio::awaitable<std::size_t> Session::await_frame(std::span<std::byte> header) {
  if (hung_up_) co_return 0;
  silence_ = Silence::kBetweenFrames;
  awaiting_frame_ = true;
  heard_ = Clock::now();
  expect_frame();
  const auto [error, count] =
      co_await socket_.async_read_some(asio::buffer(header.data(), header.size()), as_result);
  awaiting_frame_ = false;
  watchdog_.read_done();
  if (!error) context_.stats.bytes_in += count;
  co_return error ? 0 : count;
}

void Session::expect_frame() {
  if (!protocol_.welcomed()) {
    watchdog_.expect_read_until(handshake_deadline_);
  } else if (protocol_.heartbeat_ms() > 0) {
    watchdog_.expect_read_until(heard_ + kHeartbeatsBeforeGone * context_.options.heartbeat);
  } else if (under_way() == 0 && pieces_.empty()) {
    watchdog_.expect_read(context_.options.idle_timeout);
  } else {
    watchdog_.read_done();  // the agent waits for us; silence is its right
  }
}

Clock::time_point Session::frame_deadline() const {
  return protocol_.welcomed() ? Clock::now() + context_.options.stall_timeout : handshake_deadline_;
}

std::chrono::nanoseconds Session::longest_transfer(std::uint64_t bytes) const {
  return std::chrono::nanoseconds(1'000'000'000 * bytes /
                                  context_.options.slowest_bytes_per_second);
}

Clock::time_point Session::transfer_deadline(std::uint64_t bytes) const {
  return Clock::now() + context_.options.stall_timeout + longest_transfer(bytes);
}

Session::ReadPace Session::attachment_pace() const {
  return {.latest = Clock::now() + context_.options.stall_timeout, .bytes_put_it_off = true};
}

// Bounded: who sends much at once must not be slow for hours afterwards.
Clock::time_point Session::put_off(Clock::time_point latest, std::size_t bytes) const {
  return std::min(latest + longest_transfer(bytes), Clock::now() + context_.options.stall_timeout);
}

asio::awaitable<bool> Session::read_frame(Incoming& frame) {
  std::array<std::byte, kFrameHeaderBytes> header{};
  const std::size_t begun = co_await await_frame(header);
  if (begun == 0) co_return false;
  ReadPace pace{.latest = frame_deadline()};
  const bool complete = co_await read_exactly(std::span(header).subspan(begun), pace);
  if (!complete) co_return false;
  const auto decoded = decode_frame_header(header, protocol_.limits());
  if (!decoded.is_ok()) {
    refuse(protocol_.take_unreadable(decoded.status()));
    co_return false;
  }
  frame.header = *decoded;
  message_storage_.resize((frame.header.message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          frame.header.message_bytes);
  if (!co_await read_exactly(message, pace)) co_return false;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) {
    refuse(protocol_.take_unreadable(envelope.status()));
    co_return false;
  }
  const Status attachment = check_attachment(**envelope, frame.header.attachment_bytes);
  if (!attachment.is_ok()) {
    refuse(protocol_.take_unreadable(attachment));
    co_return false;
  }
  frame.envelope = *envelope;
  co_return true;
}

asio::awaitable<bool> Session::skip_attachment(std::uint64_t bytes) {
  ReadPace pace = attachment_pace();
  while (bytes > 0) {
    const auto step =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, context_.scrap.size()));
    if (!co_await read_exactly(context_.scrap.first(step), pace)) {
      co_return false;
    }
    bytes -= step;
  }
  co_return true;
}

}  // namespace cleave::server
