// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "server/session.h"

namespace cleave::server {

asio::awaitable<bool> Session::handle(const Incoming& frame) {
  const std::uint64_t attachment_bytes = frame.header.attachment_bytes;
  const fbs::Message type = frame.envelope->message_type();
  if (type == fbs::Message::Request) {
    co_return co_await handle_request(*frame.envelope->message_as_Request(), attachment_bytes);
  }
  switch (type) {
    case fbs::Message::Ping:
      send(make_pong(frame.envelope->message_as_Ping()->nonce()));
      co_return true;
    case fbs::Message::Pong:
      co_return true;
    case fbs::Message::Goodbye:
      draining_ = true;  // answers under way are still written
      co_return false;
    default:
      refuse(fbs::ErrorCode::Protocol, "this message is not the agent's to send");
      co_return false;
  }
}

std::string Session::check_request(const fbs::Request& request,
                                   std::uint64_t attachment_bytes) const {
  if (request.variant() >= model_->variants.size()) return "no such variant";
  const LoadedVariant& variant = model_->variants[request.variant()];
  if (variant.weights == nullptr) return "this server cannot run that variant";
  if (request.cut() >= variant.cuts.size()) return "no such cut";
  if (request.codec() != fbs::Codec::Raw && request.cut() != 0) {
    return "pictures are for cut 0 only";
  }
  switch (request.codec()) {
    case fbs::Codec::Raw:
      if (attachment_bytes == variant.cuts[request.cut()].boundary_bytes) return "";
      break;
    case fbs::Codec::PixelsU8:
      if (attachment_bytes == element_count(variant.input_shape)) return "";
      break;
    case fbs::Codec::Jpeg:
      if (attachment_bytes > 0 && attachment_bytes <= context_.options.picture.max_file_bytes) {
        return "";
      }
      break;
  }
  return "the attachment does not have the size of this cut";
}

asio::awaitable<bool> Session::handle_request(const fbs::Request& request,
                                              std::uint64_t attachment_bytes) {
  ++context_.stats.requests;
  const std::uint64_t request_id = request.request_id();
  if (const std::string why = check_request(request, attachment_bytes); !why.empty()) {
    // Nothing after a request of the wrong size can be trusted to start at a frame.
    ++context_.stats.errors;
    send(make_error(request_id, fbs::ErrorCode::BadRequest, why));
    closing_ = true;
    co_return false;
  }
  if (draining_) {
    co_return co_await turn_down(request_id, attachment_bytes, fbs::ErrorCode::ShuttingDown,
                                 "the server is shutting down");
  }
  if (inflight_ >= context_.options.max_inflight) {
    co_return co_await turn_down(request_id, attachment_bytes, fbs::ErrorCode::Busy,
                                 "too many requests at once");
  }
  auto job = make_job(request, attachment_bytes);
  auto payload = context_.payloads.take(buffer_sizes(*job));
  if (!payload) {
    ++context_.stats.busy_payloads;
    co_return co_await turn_down(request_id, attachment_bytes, fbs::ErrorCode::Busy,
                                 "the server holds as many request bytes as it may");
  }
  job->payload = std::move(*payload);
  const std::uint64_t remaining_ns = request.remaining_ns();
  ++inflight_;
  const bool received = co_await receive_attachment(*job);
  --inflight_;
  if (!received) co_return false;
  job->arrived = Clock::now();
  // A longer wait than a day is no deadline, and must not overflow the clock.
  if (remaining_ns != 0 && remaining_ns < 86'400'000'000'000ULL) {
    job->deadline = job->arrived + std::chrono::nanoseconds(remaining_ns);
  }
  ++inflight_;
  if (!context_.pool.try_submit(job)) {
    job->fail(fbs::ErrorCode::Busy, "the server's queue is full");
    finish(std::move(job));
  }
  co_return true;
}

// The attachment is read away, so that the next frame is found.
asio::awaitable<bool> Session::turn_down(std::uint64_t request_id, std::uint64_t attachment_bytes,
                                         fbs::ErrorCode code, std::string_view why) {
  const bool skipped = co_await skip_attachment(attachment_bytes);
  if (!skipped) co_return false;
  ++context_.stats.busy;
  send(make_error(request_id, code, why, context_.pool.retry_after_ms()));
  co_return true;
}

std::unique_ptr<TailJob> Session::make_job(const fbs::Request& request,
                                           std::uint64_t attachment_bytes) {
  auto job = std::make_unique<TailJob>();
  job->request_id = request.request_id();
  job->model = model_;
  job->variant = request.variant();
  job->cut = request.cut();
  job->codec = request.codec();
  job->attachment_bytes = static_cast<std::size_t>(attachment_bytes);
  job->unwanted = gone_;
  // The place for the way back is taken now: a post() that fails must not lose the job.
  auto returned = std::make_shared<std::unique_ptr<TailJob>>();
  job->done = [self = shared_from_this(), returned](std::unique_ptr<TailJob>&& finished) {
    *returned = std::move(finished);
    try {
      asio::post(self->socket_.get_executor(),
                 [self, returned] { self->finish(std::move(*returned)); });
    } catch (const std::exception&) {
      finished = std::move(*returned);
      throw;
    }
  };
  return job;
}

std::vector<std::size_t> Session::buffer_sizes(const TailJob& job) const {
  if (job.codec != fbs::Codec::Raw) return {job.attachment_bytes};
  std::vector<std::size_t> sizes;
  const auto& tensors = *model_->file->header().variants()->Get(job.variant)->tensors();
  for (const TensorId tensor : model_->variants[job.variant].cuts[job.cut].boundary_tensors) {
    sizes.push_back(tensor_bytes(*tensors.Get(tensor)));
  }
  return sizes;
}

asio::awaitable<bool> Session::receive_attachment(TailJob& job) {
  const std::vector<std::size_t> sizes = buffer_sizes(job);
  const Clock::time_point latest = attachment_deadline(job.attachment_bytes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    // A buffer used again may be larger than the tensor.
    const std::span target(job.payload.buffers()[i].data(), sizes[i]);
    const bool received = co_await read_exactly(target, latest);
    if (!received) co_return false;
  }
  co_return true;
}

// Called by the io_context itself, which would end with whatever is thrown here.
void Session::finish(std::unique_ptr<TailJob> job) {
  --inflight_;
  job->payload = {};  // before the answer: the next request may need the room
  try {
    reply(*job);
  } catch (const std::exception&) {
    return fail(std::current_exception());
  }
  if (awaiting_frame_) expect_frame();
  if (draining_ && inflight_ == 0) {
    closing_ = true;
    outbox_signal_.cancel();
  }
}

void Session::reply(const TailJob& job) {
  if (job.error != fbs::ErrorCode::None) {
    const bool busy = job.error == fbs::ErrorCode::Busy;
    ++(busy ? context_.stats.busy : context_.stats.errors);
    send(make_error(job.request_id, job.error, job.error_text,
                    busy ? context_.pool.retry_after_ms() : 0));
  } else {
    ++context_.stats.answers;
    send(make_answer(job.request_id, job.scores,
                     {.residence_ns = nanoseconds_between(job.arrived, Clock::now()),
                      .queue_ns = job.queue_ns,
                      .decode_ns = job.decode_ns,
                      .compute_ns = job.compute_ns}));
  }
}

}  // namespace cleave::server
