// SPDX-License-Identifier: Apache-2.0
#include "agent/name_lookup.h"

#include <netdb.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace cleave::agent {
namespace {

Result<NameLookup::Addresses> ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    return Status(StatusCode::kUnavailable, gai_strerror(error));
  }
  NameLookup::Addresses addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    endpoint.resize(entry->ai_addrlen);
    addresses.push_back(endpoint.address());
  }
  freeaddrinfo(list);
  return addresses;
}

}  // namespace

// Shared by the waiting coroutine and the thread, which may outlive it and everything it runs on.
struct NameLookup::Pending {
  std::mutex mutex;
  std::optional<Result<Addresses>> result;
  asio::steady_timer* waker = nullptr;  // of the coroutine that waits now; else null

  void finish(Result<Addresses> found, const std::shared_ptr<Pending>& self) {
    const std::lock_guard lock(mutex);
    result = std::move(found);
    // The timer is not for two threads: it is cancelled on its own, if it is still there by then.
    if (waker == nullptr) return;
    asio::post(waker->get_executor(), [self] {
      const std::lock_guard posted_lock(self->mutex);
      if (self->waker != nullptr) self->waker->cancel();
    });
  }

  // False when the result is there already.
  bool wake_with(asio::steady_timer& timer) {
    const std::lock_guard lock(mutex);
    if (result) return false;
    waker = &timer;
    return true;
  }

  std::optional<Result<Addresses>> stop_waiting() {
    const std::lock_guard lock(mutex);
    waker = nullptr;
    return result;
  }
};

NameLookup::NameLookup(System system) : system_(system ? std::move(system) : ask_system) {}

asio::awaitable<Result<std::vector<tcp::endpoint>>> NameLookup::resolve(const Endpoint& server,
                                                                        Clock::time_point latest) {
  error_code not_an_address;
  Addresses addresses{asio::ip::make_address(server.host, not_an_address)};
  if (not_an_address) {
    auto found = co_await look_up(server.host, latest);
    if (!found.is_ok()) co_return found.status();
    addresses = std::move(found).value();
  }
  std::vector<tcp::endpoint> endpoints;
  for (const asio::ip::address& address : addresses) endpoints.emplace_back(address, server.port);
  co_return endpoints;
}

asio::awaitable<Result<NameLookup::Addresses>> NameLookup::look_up(const std::string& host,
                                                                   Clock::time_point latest) {
  if (pending_ == nullptr) {
    auto pending = std::make_shared<Pending>();
    try {
      std::thread([pending, host, system = system_] {
        pending->finish(system(host), pending);
      }).detach();
    } catch (const std::system_error& error) {
      co_return Status(StatusCode::kUnavailable, error.what());
    }
    pending_ = std::move(pending);
  }
  const std::shared_ptr<Pending> pending = pending_;
  asio::steady_timer waker(co_await asio::this_coro::executor, latest);
  if (pending->wake_with(waker)) {
    // However this coroutine ends, the thread must not touch the timer afterwards.
    const std::unique_ptr<Pending, void (*)(Pending*)> guard(
        pending.get(), [](Pending* waiting) { (void)waiting->stop_waiting(); });
    (void)co_await waker.async_wait(as_result);
  }
  auto result = pending->stop_waiting();
  if (!result) co_return Status(StatusCode::kDeadlineExceeded, "no reply in time");
  pending_.reset();
  co_return std::move(*result);
}

}  // namespace cleave::agent
