// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "server/attachment_sample.h"
#include "server/request_check.h"
#include "server/session.h"

namespace cleave::server {
namespace {

// What a device holds itself, and bytes that are on their way, are not over when a worker is free:
// the queue, which may be empty, says nothing about them.
constexpr std::uint32_t kShortestRetryBesideQueueMs = 500;

std::uint32_t retry_beside_queue_ms(const TailPool& pool) {
  return std::max(kShortestRetryBesideQueueMs, pool.retry_after_ms());
}

std::vector<std::size_t> buffer_sizes(const TailJob& job) {
  std::vector<std::size_t> sizes;
  if (job.codec != fbs::Codec::Raw) sizes.push_back(job.attachment_bytes);
  if (job.is_picture()) return sizes;
  const auto& tensors = *job.model->file->header().variants()->Get(job.variant)->tensors();
  for (const TensorId tensor : job.model->variants[job.variant].cuts[job.cut].boundary_tensors) {
    sizes.push_back(tensor_bytes(*tensors.Get(tensor)));
  }
  return sizes;
}

}  // namespace

asio::awaitable<bool> Session::handle(const Incoming& frame) {
  using Action = SessionProtocol::Action;
  const std::uint64_t attachment_bytes = frame.header.attachment_bytes;
  const auto step = protocol_.take(*frame.envelope, attachment_bytes, under_way());
  const fbs::Request* request = frame.envelope->message_as_Request();
  if (request != nullptr) {
    ++context_.stats.requests;
    in_hand_ = request->request_id();
  }
  if (step.action == Action::kRequest || step.action == Action::kTurnDown) {
    const bool taken = co_await take_request(*request, step, attachment_bytes);
    if (taken) in_hand_.reset();
    co_return taken;
  }
  switch (step.action) {
    case Action::kWelcome:
      welcome();
      break;
    case Action::kPong:
      send(make_pong(frame.envelope->message_as_Ping()->nonce()));
      break;
    case Action::kCancel:
      cancel(step.request_id);
      break;
    case Action::kFetch:
      handle_fetch(*frame.envelope->message_as_Fetch());
      break;
    case Action::kFinish:
      draining_ = true;  // answers under way are still written
      break;
    case Action::kRefuse:
      refuse(step);
      break;
    default:
      break;
  }
  co_return !protocol_.ended();
}

asio::awaitable<bool> Session::take_request(const fbs::Request& request,
                                            const SessionProtocol::Step& step,
                                            std::uint64_t attachment_bytes) {
  if (step.action == SessionProtocol::Action::kRequest) {
    return handle_request(request, attachment_bytes);
  }
  const bool busy = step.code == fbs::ErrorCode::Busy;
  return turn_down(step.request_id, attachment_bytes,
                   {step.code, step.text,
                    busy ? &ServerStats::busy_inflight : &ServerStats::busy_shutting_down});
}

asio::awaitable<bool> Session::handle_request(const fbs::Request& request,
                                              std::uint64_t attachment_bytes) {
  const std::uint64_t id = request.request_id();
  const auto charged = DeviceLimiter::charge(*account_, attachment_bytes, Clock::now());
  if (charged.limit != DeviceLimiter::Limit::kNone) {
    const bool rate = charged.limit == DeviceLimiter::Limit::kRate;
    const TurnDown reason{fbs::ErrorCode::Busy,
                          rate ? "the device sends more requests a second than it may"
                               : "the device sends more bytes a second than it may",
                          rate ? &ServerStats::busy_device_rate : &ServerStats::busy_device_bytes,
                          charged.retry_after_ms};
    co_return co_await turn_down(id, attachment_bytes, reason);
  }
  const RequestShape shape = shape_of(*protocol_.model(), request, attachment_bytes);
  std::optional<RequestKey> key;
  if (protocol_.agreed(kFeatureResend)) key = RequestKey{protocol_.device(), id};
  if (key) {
    auto known = context_.desk.look_up(*key, shape, Clock::now());
    if (known.known != RequestDesk::Known::kNo) {
      Resend resend{*key, shape, request.remaining_ns()};
      co_return co_await handle_resend(std::move(resend), std::move(known));
    }
  }
  if (!context_.devices.may_begin(*account_)) {
    const TurnDown reason{fbs::ErrorCode::Busy, "the device has as many requests as it may",
                          &ServerStats::busy_device_inflight, retry_beside_queue_ms(context_.pool)};
    co_return co_await turn_down(id, attachment_bytes, reason);
  }
  auto job = make_job(request, attachment_bytes);
  auto payload = context_.payloads.take(buffer_sizes(*job));
  if (!payload) {
    const TurnDown reason{fbs::ErrorCode::Busy, "the server holds as many request bytes as it may",
                          &ServerStats::busy_payloads, retry_beside_queue_ms(context_.pool)};
    co_return co_await turn_down(id, attachment_bytes, reason);
  }
  job->payload = std::move(*payload);
  job->device_pass = DevicePass(account_);
  ++receiving_;
  const bool received = co_await receive_attachment(*job);
  --receiving_;
  if (!received) co_return false;
  job->arrived = Clock::now();
  job->deadline = deadline_after(job->arrived, request.remaining_ns());
  // Meanwhile another connection may have brought the same request.
  if (key) {
    auto known = context_.desk.look_up(*key, shape, job->arrived);
    if (known.known != RequestDesk::Known::kNo) {
      const Resend resend{*key, shape, request.remaining_ns(), job->sample};
      job.reset();
      co_return answer_resend(resend, std::move(known));
    }
  }
  submit(std::move(job), std::move(key), shape);
  co_return true;
}

// The attachment is read away, so that the next frame is found.
asio::awaitable<bool> Session::turn_down(std::uint64_t request_id, std::uint64_t attachment_bytes,
                                         TurnDown reason) {
  const bool skipped = co_await skip_attachment(attachment_bytes);
  if (!skipped) co_return false;
  send_busy(request_id, reason);
  co_return true;
}

std::unique_ptr<TailJob> Session::make_job(const fbs::Request& request,
                                           std::uint64_t attachment_bytes) const {
  auto job = std::make_unique<TailJob>();
  job->request_id = request.request_id();
  job->model = protocol_.model();
  job->variant = request.variant();
  job->cut = request.cut();
  job->codec = request.codec();
  job->quality = request.quality();
  job->attachment_bytes = static_cast<std::size_t>(attachment_bytes);
  return job;
}

asio::awaitable<bool> Session::receive_attachment(TailJob& job) {
  std::vector<std::size_t> sizes = buffer_sizes(job);
  if (job.codec != fbs::Codec::Raw) sizes.resize(1);  // the tensors come later, decoded
  ReadPace pace = attachment_pace();
  AttachmentSample sample(job.attachment_bytes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    // A buffer used again may be larger than the tensor.
    const std::span target(job.payload.buffers()[i].data(), sizes[i]);
    const bool received = co_await read_exactly(target, pace);
    if (!received) co_return false;
    sample.add(target);
  }
  job.sample = sample.value();
  co_return true;
}

void Session::submit(std::unique_ptr<TailJob> job, std::optional<RequestKey> key,
                     const RequestShape& shape) {
  const Pending request{.request_id = job->request_id, .arrived = job->arrived};
  pending_.push_back(request);
  // Until the desk has it, the request is not under way.
  const auto ticket = [&]() -> std::optional<std::uint64_t> {
    try {
      return context_.desk.submit(job, {std::move(key), shape, shared_from_this()});
    } catch (const std::exception&) {
      pending_.pop_back();
      throw;
    }
  }();
  if (ticket) {
    pending_.back().ticket = *ticket;
    return;
  }
  pending_.pop_back();
  job.reset();  // before the answer: the next request may need the room
  send_busy(request.request_id,
            {fbs::ErrorCode::Busy, "the server's queue is full", &ServerStats::busy_queue});
  close_when_done();
}

void Session::cancel(std::uint64_t request_id) {
  const auto of_id = [request_id](const Pending& each) { return each.request_id == request_id; };
  for (;;) {
    const auto at = std::ranges::find_if(pending_, of_id);
    if (at == pending_.end()) break;
    const std::uint64_t ticket = at->ticket;
    pending_.erase(at);
    const bool dropped = context_.desk.leave(ticket, *this);
    ++context_.stats.cancelled;
    log(LogLevel::kInfo, "cancelled", request_id, dropped ? "not begun" : "under way");
    send(make_error(request_id, fbs::ErrorCode::Cancelled, "cancelled"));
  }
  close_when_done();
}

}  // namespace cleave::server
