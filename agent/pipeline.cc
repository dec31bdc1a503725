// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "agent/codec_option.h"
#include "agent/picture_source.h"

namespace cleave::agent {
namespace {

const char* sent_name(fbs::Codec codec) {
  switch (codec) {
    case fbs::Codec::Raw:
    case fbs::Codec::Lossless:
    case fbs::Codec::F16:
    case fbs::Codec::Int8:
    case fbs::Codec::Coded:
      return kSentTensors;
    case fbs::Codec::Jpeg:
      return kSentJpeg;
    case fbs::Codec::PixelsU8:
      return kSentPixels;
  }
  return "?";
}

}  // namespace

OnlineOptions online_options(const PipelineOptions& options) {
  OnlineOptions online = options.online;
  online.timeout_ns = static_cast<std::uint64_t>(options.timeout.count());
  return online;
}

Pipeline::Pipeline(std::shared_ptr<const ModelFile> model, const PipelineOptions& options,
                   SplitPlanner* planner, Connection* connection)
    : model_(std::move(model)),
      options_(options),
      planner_(planner),
      connection_(connection),
      variant_(*model_->header().variants()->Get(options.variant)),
      caps_(options.caps),
      op_count_(variant_.ops()->size()),
      input_shape_(*variant_.tensors()->Get(variant_.input())->shape()),
      head_(model_, options.variant, {.threads = options.threads, .outputs = OutputPlace::kCaller},
            options.weights),
      tail_(model_, options.variant, {.threads = options.threads}, options.weights),
      pixels_(element_count(input_shape_)),
      online_(planner, online_options(options), options.trace) {}

asio::awaitable<Record> Pipeline::process(PictureTask task) {
  Work work;
  last_file_.clear();
  last_activation_.reset();
  work.record.image = std::move(task.image);
  work.record.request_id = task.request_id;
  work.record.drained = task.request_id != 0;
  work.file = std::move(task.bytes);
  work.waited_as = task.activation;
  work.started = Clock::now();
  work.latest = work.started + std::chrono::duration_cast<Clock::duration>(options_.timeout);
  refresh_caps();
  const bool is_file = !work.waited_as;
  Status status = is_file ? load(work) : take_activation(work);
  if (is_file) work.input_ns = ns_between(work.started, Clock::now());
  if (status.is_ok() && is_file) accept(work);
  if (status.is_ok() && is_file) status = co_await choose_split(work);
  if (status.is_ok()) make_room_for(work);
  if (status.is_ok() && is_file) status = run_head(work);
  work.record.edge_ns = ns_between(work.started, Clock::now());
  if (status.is_ok() && work.split.op_boundary < op_count_) {
    status = co_await ask_server(work);
  } else if (status.is_ok()) {
    learn(work, {});
  }
  work.record.status = status;
  work.record.variant = model_->header().variants()->Get(variant_of(work))->name()->str();
  work.record.total_ns = ns_between(work.started, Clock::now());
  if (work.record.split > 0) {
    work.record.split_name = model_->header().layers()->Get(work.record.split - 1)->name()->str();
  }
  if (!status.is_ok()) last_activation_ = activation_of(work);
  if (is_file) last_file_ = std::move(work.file);
  co_return std::move(work.record);
}

void Pipeline::accept(Work& work) const {
  if (work.record.request_id != 0 || !options_.accept) return;
  work.record.request_id = options_.accept(work.record.image, work.file);
}

Status Pipeline::load(Work& work) const {
  const std::uint64_t room = room_beside(planner_->cost_at(0).edge_ram_bytes);
  if (work.file.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(work.file,
                            read_picture_within(work.record.image, options_.picture, room));
  }
  const auto format = detect_format(work.file);
  if (!format.is_ok()) return format.status().with_context(work.record.image);
  work.is_jpeg = *format == PictureFormat::kJpeg;
  return Status::ok();
}

// A head that was deeper, and the tail of a fallback, keep their weights while there is room for
// them and this picture.
void Pipeline::make_room_for(const Work& work) {
  if (codec_cut_ != work.split.op_boundary || codec_choice_ != work.tensor_codec) release_codec();
  if (ram_bytes_alone(work) > caps_.ram_bytes) tail_.release();
  const auto over_cap = [&](OpIndex held) {
    return planner_->cost_at(held).edge_ram_bytes + work.file.size() > caps_.ram_bytes;
  };
  for (OpIndex op = op_count_; op > work.split.op_boundary; --op) {
    if (!head_.holds_some_of({op - 1, op})) continue;
    if (over_cap(op)) head_.release();
    return;
  }
}

// The picture's own memory comes out of the cap as well: the file, and the whole of those pictures
// that cannot be decoded by rows.
std::uint64_t Pipeline::room_beside(std::uint64_t ram_bytes) const {
  return caps_.ram_bytes - std::min(caps_.ram_bytes, ram_bytes);
}

std::uint64_t Pipeline::ram_bytes_alone(const Work& work) const {
  if (variant_of(work) != options_.variant) return UINT64_MAX;  // it is not prepared for here
  return planner_->ram_bytes_to_finish(work.split.op_boundary) + work.file.size();
}

Status Pipeline::prepare_input(Work& work, std::uint64_t ram_bytes, std::span<float> input) {
  const auto start = Clock::now();
  const fbs::Preprocessing& preprocessing = *model_->header().preprocessing();
  if (!work.has_pixels) {
    PictureLimits limits = options_.picture;
    limits.max_whole_picture_bytes =
        std::min(limits.max_whole_picture_bytes, room_beside(ram_bytes + work.file.size()));
    const Status decoded =
        decode_to_model_size(work.file, preprocessing, input_shape_, limits, pixels_);
    if (!decoded.is_ok()) return decoded.with_context(work.record.image);
    work.has_pixels = true;
  }
  if (!input.empty()) normalize(pixels_, preprocessing, input_shape_.channels(), input);
  work.input_ns += ns_between(start, Clock::now());
  return Status::ok();
}

Status Pipeline::run_head(Work& work) {
  if (work.split.op_boundary == 0) {
    // A JPEG may go as it came, if the server takes one so large; it decodes with the same code.
    if (work.is_jpeg && !work.as_pixels) return Status::ok();
    const Status decoded = prepare_input(work, planner_->cost_at(0).edge_ram_bytes, {});
    // What this device has no room to decode, the server may have.
    const bool no_room = decoded.code() == StatusCode::kOutOfRange ||
                         decoded.code() == StatusCode::kResourceExhausted;
    if (!no_room || !server_takes_file(work)) return decoded;
    work.as_pixels = false;
    return Status::ok();
  }
  const OpRange range{0, work.split.op_boundary};
  // Weights that a fallback left behind must not be held beside those of a deeper head.
  if (head_.must_pack(range)) tail_.release();
  CLEAVE_RETURN_IF_ERROR(head_.prepare(range));
  CLEAVE_RETURN_IF_ERROR(use_head_buffers());
  CLEAVE_RETURN_IF_ERROR(prepare_codec(range.last, work.tensor_codec));
  const BoundaryBuffer& input = head_.executor().inputs()[0];
  CLEAVE_RETURN_IF_ERROR(
      prepare_input(work, planner_->cost_at(range.last).edge_ram_bytes, input.f32()));
  const auto start = Clock::now();
  CLEAVE_RETURN_IF_ERROR(head_.executor().run());
  work.head_ns = ns_between(start, Clock::now());
  for (const BoundaryBuffer& output : head_.executor().outputs()) {
    work.tensors.emplace_back(output.as_bytes());
  }
  if (range.last == op_count_) {
    const BoundaryBuffer& scores = head_.executor().outputs()[0];
    work.record.scores.assign(scores.f32().begin(), scores.f32().end());
  }
  return Status::ok();
}

Status Pipeline::use_head_buffers() {
  const auto outputs = head_.executor().outputs();
  boundary_.resize(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::size_t bytes = outputs[i].bytes();
    if (boundary_[i].capacity() < bytes) boundary_[i] = AlignedBuffer(bytes);
    if (boundary_[i].data() == nullptr) {
      return {StatusCode::kResourceExhausted,
              "no memory for the " + std::to_string(bytes) + " bytes that cross the cut"};
    }
    CLEAVE_RETURN_IF_ERROR(head_.executor().bind_output(i, boundary_[i].data()));
  }
  return Status::ok();
}

Outgoing Pipeline::make_request(const Work& work) {
  Outgoing request;
  request.request_id = work.wire_id;
  request.variant = variant_of(work);
  request.cut = work.split.op_boundary;
  request.codec = work.codec;
  request.quality = quality_of(work);
  request.latest = work.latest;
  if (work.codec == fbs::Codec::Jpeg) {
    request.attachment.emplace_back(work.file);
  } else if (work.codec == fbs::Codec::PixelsU8) {
    request.attachment.push_back(std::as_bytes(std::span(pixels_)));
  } else if (work.waited_as && work.codec == work.waited_as->codec) {
    request.attachment.emplace_back(work.file);
  } else if (work.codec != fbs::Codec::Raw) {
    request.attachment.emplace_back(encoded_.data(), work.encoded_bytes);
  } else {
    request.attachment = work.tensors;
  }
  return request;
}

// A picture is in one form of several, but never at several levels.
std::uint8_t Pipeline::quality_of(const Work& work) const {
  if (work.waited_as && work.codec == work.waited_as->codec) return work.waited_as->quality;
  return work.codec == work.tensor_codec.codec ? work.tensor_codec.quality : std::uint8_t{0};
}

bool Pipeline::server_takes_file(const Work& work) const {
  return work.is_jpeg && connection_ != nullptr &&
         work.file.size() <= connection_->max_picture_bytes();
}

// What travels depends on the server that is there now: its limit is known after the handshake.
Status Pipeline::choose_form(Work& work) {
  if (work.waited_as) return choose_form_of_activation(work);
  if (work.split.op_boundary > 0) return Status::ok();
  const bool as_it_is = server_takes_file(work) && !work.as_pixels;
  work.codec = as_it_is ? fbs::Codec::Jpeg : fbs::Codec::PixelsU8;
  if (work.codec == fbs::Codec::Jpeg || work.has_pixels) return Status::ok();
  const auto start = Clock::now();
  Status status = prepare_input(work, planner_->cost_at(0).edge_ram_bytes, {});
  work.record.edge_ns += ns_between(start, Clock::now());
  return status;
}

// A device that can answer does so at once; one that cannot waits as long as its picture may.
asio::awaitable<void> Pipeline::wait_out_pause(const Work& work, std::uint64_t ram_bytes) {
  if (ram_bytes <= caps_.ram_bytes) co_return;
  if (connection_->quiet_until() <= Clock::now()) co_return;
  asio::steady_timer timer(co_await asio::this_coro::executor,
                           std::min(connection_->quiet_until(), work.latest));
  (void)co_await timer.async_wait(as_result);
}

asio::awaitable<Status> Pipeline::try_server(Work& work, ServerAnswer& answer) {
  answer = ServerAnswer();  // what an earlier try sent is no measurement of this one
  Status status = co_await connection_->ensure_ready(work.latest);
  if (status.is_ok()) status = choose_form(work);
  if (!status.is_ok()) co_return status;
  const auto start = Clock::now();
  encode(work);
  // A request that is sent again is the same one only in the same form.
  if (work.sent_as != work.codec) {
    work.sent_as = work.codec;
    work.wire_id = request_ids_.next();
  }
  const Outgoing request = make_request(work);
  work.record.encode_ns += ns_between(start, Clock::now());
  status = co_await connection_->exchange(request, answer);
  work.record.bytes_up += answer.attachment_bytes_up;
  if (!status.is_ok()) co_return status;
  work.record.sent = sent_name(work.codec);
  if (work.split.op_boundary > 0) {
    work.record.codec = codec_name({.codec = work.codec, .quality = quality_of(work)});
  }
  co_return status;
}

asio::awaitable<Status> Pipeline::ask_server(Work& work) {
  if (connection_ == nullptr) {
    co_return finish_locally(work, {StatusCode::kUnavailable, "no server was given"});
  }
  ServerAnswer answer;
  Status status;
  bool asked_to_wait = false;
  do {
    co_await wait_out_pause(work, ram_bytes_alone(work));
    // The server may have closed an idle connection: one try more, on a new one, before giving up.
    for (int attempt = 0; attempt < 2; ++attempt) {
      const bool was_open = connection_->is_open();
      status = co_await try_server(work, answer);
      if (status.code() != StatusCode::kUnavailable || !was_open) break;
    }
    asked_to_wait = !status.is_ok() && ram_bytes_alone(work) > caps_.ram_bytes &&
                    connection_->quiet_until() > Clock::now() &&
                    connection_->quiet_until() < work.latest;
  } while (asked_to_wait);
  if (status.is_ok()) {
    tail_.release();
    take_answer(work, answer);
    co_return status;
  }
  // Not even in that time: the link is no faster than this, or its server no quicker.
  if (status.code() == StatusCode::kDeadlineExceeded &&
      answer.attachment_bytes_up > planner::LinkEstimator::kSmallBytes) {
    learn(work, answer);
  }
  if (status.code() == StatusCode::kMismatch) co_return status;
  if (status.code() == StatusCode::kInvalidArgument)
    co_return status.with_context(work.record.image);
  co_return finish_locally(work, status);
}

void Pipeline::take_answer(Work& work, ServerAnswer& answer) {
  Record& record = work.record;
  record.scores = std::move(answer.scores);
  record.server_ns = std::min(answer.times.residence_ns, answer.wait_ns);
  const std::uint64_t on_link = answer.wait_ns - record.server_ns;
  record.rx_ns = std::min(connection_->rtt_ns() / 2, on_link);
  record.tx_ns = on_link - record.rx_ns;
  learn(work, answer);
}

// No op's weights are held twice: the plan counts each once.
Status Pipeline::prepare_tail(const Work& work) {
  const OpRange range{work.split.op_boundary, op_count_};
  // What the head computed is in buffers of the link. Its arena makes room for the packing, which
  // for a moment holds an op's weights as they are in the file as well.
  head_.release_executor();
  if (!head_.must_pack(range)) return tail_.prepare_with(head_, range);
  if (head_.holds_some_of(range)) head_.release();
  return tail_.prepare(range);
}

Status Pipeline::finish_locally(Work& work, const Status& why) {
  const auto start = Clock::now();
  if (!planner_->holds(op_count_)) {
    return {StatusCode::kUnavailable,
            why.message() + "; the weights of the rest are not on this device"};
  }
  if (variant_of(work) != options_.variant) {
    return {StatusCode::kUnavailable,
            why.message() + "; what waited is of another --variant, so it was not finished here"};
  }
  if (ram_bytes_alone(work) > caps_.ram_bytes) {
    return {StatusCode::kUnavailable,
            why.message() + "; the whole network does not fit the RAM cap, so it was not run here"};
  }
  if (work.waited_as) CLEAVE_RETURN_IF_ERROR(restore_tensors(work));
  CLEAVE_RETURN_IF_ERROR(prepare_tail(work));
  Executor& tail = tail_.executor();
  if (work.split.op_boundary == 0) {
    const BoundaryBuffer& input = tail.inputs()[0];
    CLEAVE_RETURN_IF_ERROR(prepare_input(work, planner_->ram_bytes_to_finish(0), input.f32()));
  } else {
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      CLEAVE_RETURN_IF_ERROR(tail.bind_input(i, boundary_[i].data()));
    }
  }
  CLEAVE_RETURN_IF_ERROR(tail.run());
  const BoundaryBuffer& scores = tail.outputs()[0];
  work.record.scores.assign(scores.f32().begin(), scores.f32().end());
  work.record.split = model_->header().layers()->size();
  work.record.fallback = why.message();
  work.record.edge_ns += ns_between(start, Clock::now());
  return Status::ok();
}

}  // namespace cleave::agent
