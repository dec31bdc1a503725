// SPDX-License-Identifier: Apache-2.0
//
// Host names to addresses, with a deadline. The system's look-up (getaddrinfo) blocks and cannot be
// cancelled; it runs on a thread of its own that nobody waits for, neither the picture whose
// deadline passes nor the end of the program.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/net.h"
#include "schemas/endpoint.h"
#include "schemas/status.h"

namespace cleave::agent {

class NameLookup {
 public:
  using Addresses = std::vector<asio::ip::address>;
  // May block as long as it likes; called on a thread of its own, possibly after this object is
  // gone. Errors: kUnavailable.
  using System = std::function<Result<Addresses>(const std::string& host)>;

  explicit NameLookup(System system = nullptr);  // null: getaddrinfo, IPv4 and IPv6

  // Where `server` is; an address written as one is taken as it is. A look-up that its deadline
  // left behind goes on, and the next call (of the same host) takes its result, so that there is
  // one thread at most. One call at a time, on an executor of one thread.
  // Errors: kUnavailable, kDeadlineExceeded.
  asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(const Endpoint& server,
                                                              Clock::time_point latest);

 private:
  struct Pending;
  asio::awaitable<Result<Addresses>> look_up(const std::string& host, Clock::time_point latest);

  System system_;
  std::shared_ptr<Pending> pending_;
};

}  // namespace cleave::agent
