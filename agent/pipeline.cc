// SPDX-License-Identifier: Apache-2.0
//
// The front: which pictures are in work, and what memory they may take.
#include "agent/pipeline.h"

#include <algorithm>
#include <utility>

#include "agent/codec_option.h"
#include "agent/picture_source.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

using planner::saturating_add;

std::uint64_t room_beside(std::uint64_t cap_bytes, std::uint64_t taken_bytes) {
  return cap_bytes - std::min(cap_bytes, taken_bytes);
}

}  // namespace

OnlineOptions online_options(const PipelineOptions& options) {
  OnlineOptions online = options.online;
  online.timeout_ns = static_cast<std::uint64_t>(options.timeout.count());
  return online;
}

Pipeline::Pipeline(const asio::any_io_executor& executor, std::shared_ptr<const ModelFile> model,
                   const PipelineOptions& options, SplitPlanner* planner, Connection* connection)
    : executor_(executor),
      model_(std::move(model)),
      options_(options),
      planner_(planner),
      connection_(connection),
      variant_(*model_->header().variants()->Get(options.variant)),
      caps_(options.caps),
      op_count_(variant_.ops()->size()),
      input_shape_(*variant_.tensors()->Get(variant_.input())->shape()),
      holds_all_(planner->holds(op_count_)),
      online_(planner, online_options(options), options.trace),
      front_(executor),
      one_done_(executor),
      head_(model_, options.variant, {.threads = options.threads, .outputs = OutputPlace::kCaller},
            options.weights),
      tail_(model_, options.variant, {.threads = options.threads}, options.weights),
      compute_(options.overlap > 1),
      encoding_(options.overlap > 1) {
  for (OpIndex cut = 0; cut <= op_count_; ++cut) {
    const planner::CutCost& cost = planner_->cost_at(cut);
    ram_.push_back({.head = cost.edge_ram_bytes,
                    .finish = planner_->ram_bytes_to_finish(cut),
                    .boundary = cost.boundary_bytes});
  }
}

asio::awaitable<Processed> Pipeline::process(PictureTask task) {
  Work work;
  (void)co_await front_.enter();
  Status status = co_await begin(work, std::move(task));
  in_work_.push_back(&work);
  counters_.most_in_work = std::max<std::uint64_t>(counters_.most_in_work, in_work_.size());
  front_.leave();  // its head is given to the compute thread before the next picture begins
  if (status.is_ok() && !work.waited_as) {
    status = co_await compute_head(work);
  }
  work.is_encoded = true;
  one_done_.set();
  work.record.edge_ns =
      ns_between(work.started, Clock::now()) - work.record.waited_ns - work.record.encode_ns;
  if (status.is_ok() && (work.waited_as || work.split.op_boundary < op_count_)) {
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
  Processed done;
  if (!status.is_ok()) done.activation = activation_of(work);
  if (done.activation) done.buffers = std::move(work.buffers);
  end(work);
  done.record = std::move(work.record);
  if (!work.waited_as) done.file = std::move(work.file);
  co_return done;
}

asio::awaitable<Status> Pipeline::begin(Work& work, PictureTask task) {
  co_await await_others();
  work.record.image = std::move(task.image);
  work.record.request_id = task.request_id;
  work.record.drained = task.request_id != 0;
  work.record.is_accepted = work.record.drained;
  work.file = std::move(task.bytes);
  work.started = Clock::now();
  work.latest = work.started + std::chrono::duration_cast<Clock::duration>(options_.timeout);
  refresh_caps();
  Status status;
  if (task.activation) {
    work.waited_as = task.activation;
    status = take_activation(work);
    if (status.is_ok()) co_await await_room(work);
    co_return status;
  }
  status = co_await load_when_room(work);
  work.input_ns = ns_between(work.started, Clock::now()) - work.record.waited_ns;
  if (!status.is_ok()) co_return status;
  accept(work);
  status = co_await choose_split(work);
  if (!status.is_ok()) co_return status;
  co_await await_codec(work);
  co_await await_room(work);
  co_return status;
}

bool Pipeline::uses_codec(const Work& work) const {
  const bool crosses = work.split.op_boundary > 0 && work.split.op_boundary < op_count_;
  return connection_ != nullptr && crosses && !work.waited_as &&
         work.wanted_codec.codec != fbs::Codec::Raw;
}

bool Pipeline::shares_codec(const Work& one, const Work& other) const {
  return uses_codec(one) && uses_codec(other) && one.split.op_boundary == other.split.op_boundary &&
         one.wanted_codec == other.wanted_codec;
}

// There is one codec, and memory for one: a head that wants another, or none, is not begun before
// the last picture of this one is encoded.
asio::awaitable<void> Pipeline::await_codec(Work& work) {
  const auto is_before_it = [&](const Work* each) {
    return !each->is_encoded && uses_codec(*each) && !shares_codec(*each, work);
  };
  const auto start = Clock::now();
  while (std::ranges::any_of(in_work_, is_before_it)) co_await one_is_done();
  work.record.waited_ns += ns_between(start, Clock::now());
}

// A plan knows nothing of a link on which nothing was answered yet: one picture tries it.
bool Pipeline::may_overlap() const {
  if (options_.overlap <= 1 || connection_ == nullptr) return false;
  if (options_.fixed_split) return true;
  return connection_->is_open() && answered_handshake_ == connection_->handshakes();
}

asio::awaitable<void> Pipeline::await_others() {
  while (in_work_.size() >= options_.overlap || (!in_work_.empty() && !may_overlap())) {
    co_await one_is_done();
  }
}

// REQUIRES: the caller is at the front.
asio::awaitable<void> Pipeline::one_is_done() {
  one_done_.reset();
  (void)co_await one_done_.wait();
}

void Pipeline::end(Work& work) {
  std::erase(in_work_, &work);
  work.buffers.boundary_bytes.clear();
  if (idle_.size() < options_.overlap) idle_.push_back(std::move(work.buffers));
  one_done_.set();
}

// What the others in work leave may be too little for its file, though alone it has room.
asio::awaitable<Status> Pipeline::load_when_room(Work& work) {
  for (;;) {
    const std::uint64_t taken = in_work_.empty() ? head_ram_bytes(0) : needed_bytes(nullptr);
    Status status = load(work, room_beside(caps_.ram_bytes, taken));
    if (status.code() != StatusCode::kResourceExhausted || in_work_.empty()) co_return status;
    const auto start = Clock::now();
    co_await one_is_done();
    work.record.waited_ns += ns_between(start, Clock::now());
  }
}

void Pipeline::accept(Work& work) const {
  work.record.is_accepted = true;
  if (work.record.request_id != 0 || !options_.accept) return;
  work.record.request_id = options_.accept(work.record.image, work.file);
}

Status Pipeline::load(Work& work, std::uint64_t room_bytes) const {
  if (work.file.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(work.file,
                            read_picture_within(work.record.image, options_.picture, room_bytes));
  }
  const auto format = detect_format(work.file);
  if (!format.is_ok()) return format.status().with_context(work.record.image);
  work.is_jpeg = *format == PictureFormat::kJpeg;
  work.decode_bytes = whole_picture_bytes(work.file);
  return Status::ok();
}

// The plan was made as if this picture were alone; it waits until that is true enough.
asio::awaitable<void> Pipeline::await_room(Work& work) {
  const auto start = Clock::now();
  work.buffer_bytes = planned_buffer_bytes(work);
  while (!in_work_.empty() && needed_bytes(&work) > caps_.ram_bytes) co_await one_is_done();
  if (!idle_.empty()) {
    work.buffers = std::move(idle_.back());
    idle_.pop_back();
    work.buffer_bytes = std::max(work.buffer_bytes, work.buffers.bytes());
  }
  std::uint64_t idle_bytes = 0;
  for (const PictureBuffers& each : idle_) idle_bytes += each.bytes();
  if (saturating_add(needed_bytes(&work), idle_bytes) > caps_.ram_bytes) idle_.clear();
  work.record.waited_ns += ns_between(start, Clock::now());
}

// The picture's own memory comes out of the cap as well: the file, and the whole of those pictures
// that cannot be decoded by rows.
std::uint64_t Pipeline::alone_ram_bytes(const Work& work) const {
  if (is_foreign(work)) return UINT64_MAX;  // it is not prepared for here
  return saturating_add(ram_.at(work.split.op_boundary).finish, work.file.size());
}

std::uint64_t Pipeline::head_ram_bytes(const Work& work) const {
  return ram_.at(work.waited_as ? 0 : work.split.op_boundary).head;
}

bool Pipeline::can_finish(const Work& work) const {
  return holds_all_ && alone_ram_bytes(work) <= caps_.ram_bytes;
}

// What it holds beside weights and arena, which all share, and its file.
std::uint64_t Pipeline::planned_buffer_bytes(const Work& work) const {
  if (work.waited_as) return work.crossing_bytes;
  const bool crosses = work.split.op_boundary < op_count_;
  const std::uint64_t boundary = crosses ? ram_.at(work.split.op_boundary).boundary : 0;
  const std::uint64_t pixels = element_count(input_shape_);
  if (is_model_jpeg(work.wanted_codec)) return boundary + 2 * pixels;
  const bool coded = work.wanted_codec.codec != fbs::Codec::Raw;
  return (coded ? 2 : 1) * boundary + pixels;
}

// For all that are in work, and `more` unless it is null: whichever of them is computed, the others
// are held beside it. One that could be finished here alone still can.
std::uint64_t Pipeline::needed_bytes(const Work* more) const {
  std::vector<const Work*> all(in_work_.begin(), in_work_.end());
  if (more != nullptr && std::ranges::find(all, more) == all.end()) all.push_back(more);
  const auto held_by = [](const Work& each) {
    return saturating_add(each.buffer_bytes, each.file.size());
  };
  std::uint64_t held = 0;
  for (const Work* each : all) held = saturating_add(held, held_by(*each));
  std::uint64_t most = held;
  for (const Work* each : all) {
    const std::uint64_t own =
        saturating_add(can_finish(*each) ? alone_ram_bytes(*each)
                                         : saturating_add(head_ram_bytes(*each), each->file.size()),
                       each->decode_bytes);
    most = std::max(most, saturating_add(own, held - held_by(*each)));
  }
  return most;
}

std::uint64_t Pipeline::held_beside(const Work& work) const {
  std::uint64_t held = 0;
  for (const Work* each : in_work_) {
    if (each == &work) continue;
    held = saturating_add(held, saturating_add(each->buffer_bytes, each->file.size()));
  }
  return held;
}

void Pipeline::note_room(Work& work) const {
  work.room = {.cap_bytes = caps_.ram_bytes, .beside_bytes = held_beside(work)};
}

asio::awaitable<Status> Pipeline::compute_head(Work& work) {
  note_room(work);
  work.may_encode = server_may_take(work.wanted_codec);
  work.server_takes_file = server_takes_file(work);
  work.release_tail = std::exchange(answered_, false);
  Status status;
  ++heads_given_;
  const auto begun = co_await take_turn(compute_, work, [&] {
    ++head_edges_;
    status = run_head(work);
    ++head_edges_;
  });
  ++heads_done_;
  last_head_ns_ = ns_between(begun, Clock::now());
  if (work.has_pixels && std::exchange(work.decode_bytes, 0) > 0) one_done_.set();
  const bool encodes = work.may_encode && (uses_codec(work) || is_model_jpeg(work.wanted_codec));
  if (status.is_ok() && encodes) status = co_await encode_crossing(work);
  co_return status;
}

// Beside a head is what ran at the same time, or was done before one that was given earlier: on a
// busy processor the compute thread may not have come to that yet.
asio::awaitable<Status> Pipeline::encode_crossing(Work& work) {
  Status status;
  bool is_beside = false;
  const std::uint64_t heads_before = heads_given_;
  co_await take_turn(encoding_, work, [&] {
    const std::uint64_t edges = head_edges_;
    status = encode(work);
    is_beside = edges % 2 == 1 || head_edges_ != edges;
  });
  is_beside = is_beside || heads_done_ < heads_before;
  if (is_beside && work.encoded_bytes > 0) ++counters_.encoded_beside;
  co_return status;
}

// Gives when it began: until then the picture waited.
asio::awaitable<Clock::time_point> Pipeline::take_turn(ComputeThread& thread, Work& work,
                                                       std::function<void()> job,
                                                       ComputeThread::Urgency urgency) {
  const auto given = Clock::now();
  auto begun = given;
  co_await thread.run(
      [&] {
        begun = Clock::now();
        job();
      },
      urgency);
  work.record.waited_ns += ns_between(given, begun);
  co_return begun;
}

}  // namespace cleave::agent
