// SPDX-License-Identifier: Apache-2.0
#include "server/doorman.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <tuple>
#include <utility>

#include "schemas/wire_reader.h"

namespace cleave::server {

void Doorman::turn_away(tcp::socket socket) {
  if (visitors_.size() >= kMostVisitors) return;  // the socket closes here
  std::shared_ptr<Visitor> visitor;
  try {
    visitor = std::make_shared<Visitor>(std::move(socket));
    visitors_.insert(visitor);
    receive(visitor);
  } catch (const std::exception&) {  // no memory for a word
    if (visitor != nullptr) see_off(visitor);
  }
}

void Doorman::receive(const std::shared_ptr<Visitor>& visitor) {
  visitor->deadline.expires_after(kPatience);
  visitor->deadline.async_wait([visitor](const error_code& cancelled) {
    error_code ignored;
    if (!cancelled) visitor->socket.close(ignored);
  });
  const auto executor = visitor->socket.get_executor();
  asio::co_spawn(
      executor, [this, visitor]() { return tell(visitor); },
      [this, visitor](const std::exception_ptr&) { see_off(visitor); });
}

void Doorman::see_off(const std::shared_ptr<Visitor>& visitor) {
  visitor->deadline.cancel();
  error_code ignored;
  visitor->socket.close(ignored);
  visitors_.erase(visitor);
}

asio::awaitable<void> Doorman::tell(std::shared_ptr<Visitor> visitor) {
  tcp::socket& socket = visitor->socket;
  const FrameBytes busy =
      make_error(0, fbs::ErrorCode::Busy, "the server has as many agents as it may", kRetryAfterMs);
  error_code error;
  std::size_t count = 0;
  std::tie(error, count) = co_await asio::async_write(socket, asio::buffer(busy), as_result);
  if (!error) socket.shutdown(tcp::socket::shutdown_send, error);
  // Closing with an unread Hello would reset the connection, and Busy could be lost on its way.
  while (!error) {
    std::tie(error, count) =
        co_await socket.async_read_some(asio::buffer(scrap_.data(), scrap_.size()), as_result);
  }
}

void Doorman::end() {
  error_code ignored;
  for (const auto& visitor : visitors_) visitor->socket.close(ignored);
}

}  // namespace cleave::server
