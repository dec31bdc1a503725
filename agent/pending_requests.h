// SPDX-License-Identifier: Apache-2.0
//
// The requests of a connection that wait for their answers, by id, and those that were given up and
// may still be answered. No sockets in here. Everything on one executor's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "agent/signal.h"
#include "schemas/status.h"
#include "schemas/wire_reader.h"

namespace cleave::agent {

// One of them; owned by the coroutine that waits for it.
struct PendingRequest {
  PendingRequest(const asio::any_io_executor& executor, std::uint64_t request_id)
      : id(request_id), done(executor) {}

  const std::uint64_t id;
  Signal done;  // `status` and, if ok, what follows are final
  Status status;
  std::vector<float> scores;
  ServerTimes times;
  Clock::time_point answered_at{};
  std::optional<fbs::ErrorCode> refused_as;  // `status` is the server's, with this code
  bool given_up = false;                     // its time was over

  void end(Status with) {
    status = std::move(with);
    answered_at = Clock::now();
    done.set();
  }
};

class PendingRequests {
 public:
  // Of those given up the last so many are known.
  static constexpr std::size_t kMostGivenUp = 64;

  // False: a request of that id is pending. It must be removed before it goes.
  [[nodiscard]] bool add(PendingRequest& request) {
    if (find(request.id) != nullptr) return false;
    std::erase(given_up_, request.id);
    pending_.push_back(&request);
    return true;
  }
  void remove(const PendingRequest& request) { std::erase(pending_, &request); }
  // Null: there is none, or it has ended.
  [[nodiscard]] PendingRequest* find(std::uint64_t id) const {
    const auto found =
        std::ranges::find_if(pending_, [id](const PendingRequest* each) { return each->id == id; });
    return found == pending_.end() || (*found)->done.is_set() ? nullptr : *found;
  }
  [[nodiscard]] bool empty() const { return pending_.empty(); }
  [[nodiscard]] std::size_t size() const { return pending_.size(); }

  // All that have not ended do.
  void end_all(const Status& status) {
    for (PendingRequest* each : pending_) {
      if (!each->done.is_set()) each->end(status);
    }
  }

  // Nobody waits for this one any more, though its reply may come.
  void give_up(std::uint64_t id) {
    given_up_.push_back(id);
    if (given_up_.size() > kMostGivenUp) given_up_.pop_front();
  }
  // Whether that was so; its reply is here.
  bool take_given_up(std::uint64_t id) { return std::erase(given_up_, id) > 0; }

 private:
  std::vector<PendingRequest*> pending_;
  std::deque<std::uint64_t> given_up_;
};

}  // namespace cleave::agent
