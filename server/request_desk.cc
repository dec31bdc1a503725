// SPDX-License-Identifier: Apache-2.0
#include "server/request_desk.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

namespace cleave::server {

RequestDesk::LookUp RequestDesk::look_up(const RequestKey& key, const RequestShape& shape,
                                         Clock::time_point now) {
  if (const auto at = ticket_of_.find(key); at != ticket_of_.end()) {
    const Computation& computation = under_way_.at(at->second);
    if (!(computation.shape == shape)) return {.known = Known::kOther};
    return {.known = Known::kUnderWay, .ticket = at->second, .sample = computation.sample};
  }
  AnswerStore::Hit hit = answers_.find(key, shape, now);
  switch (hit.found) {
    case AnswerStore::Found::kNothing:
      return {};
    case AnswerStore::Found::kOther:
      return {.known = Known::kOther};
    case AnswerStore::Found::kAnswer:
      break;
  }
  const std::uint64_t sample = hit.answer->sample;
  return {.known = Known::kAnswered, .answer = std::move(hit.answer), .sample = sample};
}

std::optional<std::uint64_t> RequestDesk::submit(std::unique_ptr<TailJob>& job,
                                                 Submission submission) {
  const std::uint64_t ticket = next_ticket_++;
  job->ticket = ticket;
  send_back_here(*job);
  Computation computation{std::move(submission.key), submission.shape, job->sample, {}};
  computation.takers.push_back(std::move(submission.taker));
  const auto at = under_way_.emplace(ticket, std::move(computation)).first;
  try {
    if (at->second.key) ticket_of_.emplace(*at->second.key, ticket);
    if (pool_.try_submit(job)) return ticket;
  } catch (const std::exception&) {
    forget(at);
    throw;
  }
  forget(at);
  return std::nullopt;
}

// The place for the way back is taken now: a post() that fails must not lose the job.
void RequestDesk::send_back_here(TailJob& job) {
  auto returned = std::make_shared<std::unique_ptr<TailJob>>();
  job.done = [this, executor = executor_, returned](std::unique_ptr<TailJob>&& finished) {
    *returned = std::move(finished);
    try {
      asio::post(executor, [this, returned] { finish(std::move(*returned)); });
    } catch (const std::exception&) {
      finished = std::move(*returned);
      throw;
    }
  };
}

void RequestDesk::join(std::uint64_t ticket, std::shared_ptr<ReplyTaker> taker,
                       std::optional<Clock::time_point> deadline) {
  under_way_.at(ticket).takers.push_back(std::move(taker));
  pool_.extend_deadline(ticket, deadline);
}

bool RequestDesk::leave(std::uint64_t ticket, const ReplyTaker& taker) {
  const auto at = under_way_.find(ticket);
  if (at == under_way_.end()) return false;
  auto& takers = at->second.takers;
  const auto one = std::ranges::find(
      takers, &taker, [](const auto& each) -> const ReplyTaker* { return each.get(); });
  if (one == takers.end()) return false;
  takers.erase(one);
  if (!takers.empty() || pool_.withdraw(ticket) == nullptr) return false;
  ++stats_.withdrawn;
  forget(at);
  return true;
}

// Called by the io_context itself, which would end with whatever is thrown here.
void RequestDesk::finish(std::unique_ptr<TailJob> job) {
  job->payload = {};  // before the answers: the next request may need the room
  job->device_pass = {};
  const auto at = under_way_.find(job->ticket);
  if (at == under_way_.end()) return;
  if (at->second.key) ticket_of_.erase(*at->second.key);
  const auto node = under_way_.extract(at);
  const Computation& computation = node.mapped();
  const auto stored = remember(computation, *job);
  const Reply reply{.error = job->error,
                    .error_text = job->error_text,
                    .scores = stored != nullptr ? stored->scores : job->scores,
                    .queue_ns = job->queue_ns,
                    .decode_ns = job->decode_ns,
                    .compute_ns = job->compute_ns};
  if (computation.takers.empty()) ++stats_.unsent;
  for (const auto& taker : computation.takers) taker->take_reply(job->ticket, reply);
}

std::shared_ptr<const StoredAnswer> RequestDesk::remember(const Computation& computation,
                                                          TailJob& job) {
  if (!computation.key || job.error != fbs::ErrorCode::None) return nullptr;
  std::shared_ptr<StoredAnswer> answer;
  try {
    answer = std::make_shared<StoredAnswer>();
    answer->sample = job.sample;
    answer->scores = std::move(job.scores);
    answer->queue_ns = job.queue_ns;
    answer->decode_ns = job.decode_ns;
    answer->compute_ns = job.compute_ns;
    answers_.put(*computation.key, computation.shape, answer, Clock::now());
  } catch (const std::exception&) {  // no memory: a resend is computed anew
  }
  return answer;
}

void RequestDesk::forget(Computations::iterator computation) {
  if (computation->second.key) ticket_of_.erase(*computation->second.key);
  under_way_.erase(computation);
}

}  // namespace cleave::server
