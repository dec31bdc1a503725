// SPDX-License-Identifier: Apache-2.0
//
// Requests that were here before: "Resending" in schemas/wire_format.md.
#include <algorithm>
#include <array>
#include <utility>

#include "server/attachment_sample.h"
#include "server/session.h"

namespace cleave::server {
namespace {

// The original came to nothing while its resend was read away: it can be sent once more at once.
constexpr std::uint32_t kSendAgainMs = 10;

}  // namespace

asio::awaitable<bool> Session::handle_resend(Resend resend, RequestDesk::LookUp known) {
  if (known.known == RequestDesk::Known::kOther) co_return refuse_other(resend.key.request_id);
  ++receiving_;
  const bool read = co_await sample_attachment(resend);
  --receiving_;
  if (!read) co_return false;
  co_return answer_resend(resend, std::move(known));
}

// Into bytes of its own: the scrap is everybody's, also between two reads.
asio::awaitable<bool> Session::sample_attachment(Resend& resend) {
  ReadPace pace = attachment_pace();
  AttachmentSample sample(resend.shape.attachment_bytes);
  std::array<std::byte, 4096> some;
  for (std::uint64_t left = resend.shape.attachment_bytes; left > 0;) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(left, some.size()));
    const auto next = std::span(some).first(step);
    const bool received = co_await read_exactly(next, pace);
    if (!received) co_return false;
    sample.add(next);
    left -= step;
  }
  resend.sample = sample.value();
  co_return true;
}

bool Session::answer_resend(const Resend& resend, RequestDesk::LookUp known) {
  using Known = RequestDesk::Known;
  const std::uint64_t id = resend.key.request_id;
  const Clock::time_point now = Clock::now();
  const Pending request{.request_id = id, .arrived = now, .repeated = true};
  if (known.known != Known::kAnswered) {
    known = context_.desk.look_up(resend.key, resend.shape, now);
  }
  const bool found = known.known == Known::kAnswered || known.known == Known::kUnderWay;
  if (found && known.sample != resend.sample) return refuse_other(id);
  if (known.known == Known::kUnderWay) {
    pending_.reserve(pending_.size() + 1);
    context_.desk.join(known.ticket, shared_from_this(), deadline_after(now, resend.remaining_ns));
    pending_.push_back(request);
    pending_.back().ticket = known.ticket;
    ++context_.stats.joined;
    log(LogLevel::kInfo, "resent_under_way", id);
    return true;
  }
  if (known.known == Known::kAnswered) {
    const StoredAnswer& answer = *known.answer;
    ++context_.stats.answers_repeated;
    log(LogLevel::kInfo, "resent_answered", id);
    reply(request, {.scores = answer.scores,
                    .queue_ns = answer.queue_ns,
                    .decode_ns = answer.decode_ns,
                    .compute_ns = answer.compute_ns});
  } else {
    send_busy(id, {fbs::ErrorCode::Busy, "the first of this id came to nothing",
                   &ServerStats::busy_resend, kSendAgainMs});
  }
  close_when_done();
  return true;
}

bool Session::refuse_other(std::uint64_t request_id) {
  refuse({SessionProtocol::Action::kRefuse, fbs::ErrorCode::BadRequest, request_id,
          "this request id was used for another request"});
  return false;
}

}  // namespace cleave::server
