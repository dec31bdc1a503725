// SPDX-License-Identifier: Apache-2.0
//
// Between sessions and workers: who waits for which computation, and what was answered lately. A
// computation that several connections of a device asked for is done once; one that nobody waits
// for any more is taken out of the queue. Everything runs on the network thread; a worker only
// posts a finished job to it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/answer_store.h"
#include "server/net.h"
#include "server/request_key.h"
#include "server/server_stats.h"
#include "server/tail_pool.h"

namespace cleave::server {

// How a computation ended; valid during the call that brings it.
struct Reply {
  fbs::ErrorCode error = fbs::ErrorCode::None;
  std::string_view error_text = {};
  std::span<const float> scores = {};
  std::uint64_t queue_ns = 0, decode_ns = 0, compute_ns = 0;
};

// Who waits for replies: a session. take_reply() is called once for each submit() and join() that
// was not left, and does not throw.
class ReplyTaker {
 public:
  virtual ~ReplyTaker() = default;
  virtual void take_reply(std::uint64_t ticket, const Reply& reply) = 0;
};

class RequestDesk {
 public:
  enum class Known { kNo, kAnswered, kUnderWay, kOther };  // kOther: that key had another shape
  struct LookUp {
    Known known = Known::kNo;
    std::shared_ptr<const StoredAnswer> answer = nullptr;  // of kAnswered
    std::uint64_t ticket = 0;                              // of kUnderWay
    std::uint64_t sample = 0;                              // of the attachment of either
  };
  struct Submission {
    std::optional<RequestKey> key;  // by which a resend finds it
    RequestShape shape;
    std::shared_ptr<ReplyTaker> taker;
  };

  // `pool` and `stats` must live until the last of its jobs is done; so must this.
  RequestDesk(asio::any_io_executor executor, TailPool& pool, ServerStats& stats,
              const AnswerStoreLimits& limits)
      : executor_(std::move(executor)), pool_(pool), stats_(stats), answers_(limits) {}

  LookUp look_up(const RequestKey& key, const RequestShape& shape, Clock::time_point now);

  // Queues `job` and gives its ticket; or leaves it with the caller and gives nothing when the
  // queue is full. The key must not be under way. On bad_alloc nothing has changed.
  std::optional<std::uint64_t> submit(std::unique_ptr<TailJob>& job, Submission submission);

  // One more who waits for `ticket`, at the longest until `deadline` (none: as long as it takes).
  // REQUIRES: look_up() just said kUnderWay. On bad_alloc nothing has changed.
  void join(std::uint64_t ticket, std::shared_ptr<ReplyTaker> taker,
            std::optional<Clock::time_point> deadline);

  // `taker` no longer waits for `ticket` (once, if it waits several times). A job without another
  // taker that no worker has begun is dropped: true. Allocates nothing.
  bool leave(std::uint64_t ticket, const ReplyTaker& taker);

  [[nodiscard]] const AnswerStore& answers() const { return answers_; }
  [[nodiscard]] std::size_t under_way() const { return under_way_.size(); }

 private:
  struct Computation {
    std::optional<RequestKey> key;
    RequestShape shape;
    std::uint64_t sample = 0;
    std::vector<std::shared_ptr<ReplyTaker>> takers;
  };
  using Computations = std::unordered_map<std::uint64_t, Computation>;

  void send_back_here(TailJob& job);
  void finish(std::unique_ptr<TailJob> job);
  // The scores now belong to the store as well, if it has room and memory.
  std::shared_ptr<const StoredAnswer> remember(const Computation& computation, TailJob& job);
  void forget(Computations::iterator computation);

  asio::any_io_executor executor_;
  TailPool& pool_;
  ServerStats& stats_;
  AnswerStore answers_;
  Computations under_way_;
  std::map<RequestKey, std::uint64_t> ticket_of_;  // those with a key
  std::uint64_t next_ticket_ = 1;
};

}  // namespace cleave::server
