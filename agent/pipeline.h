// SPDX-License-Identifier: Apache-2.0
//
// Pictures from their files to their records: prepare, decide, run the head, exchange with the
// server, or finish on the device. Several may be in work at a time: one is computed, others are on
// their way or being answered.
//
//   front (one at a time, in order): read, accept, decide, wait for room
//   compute thread (one at a time, in order): decode, head; tails first
//   encoding thread (one at a time, in order): what crosses, while the next head is computed
//   link: connection.h
//
// Everything runs on the executor's thread but for what is marked below as another's.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/caps_options.h"
#include "agent/compute_thread.h"
#include "agent/connection.h"
#include "agent/event_log.h"
#include "agent/online_planner.h"
#include "agent/picture_buffers.h"
#include "agent/picture_task.h"
#include "agent/range_runner.h"
#include "agent/record.h"
#include "agent/request_ids.h"
#include "agent/split_planner.h"
#include "agent/turns.h"
#include "engine/codec/boundary_codec.h"
#include "engine/image/picture.h"

namespace cleave::agent {

struct PipelineOptions {
  std::uint32_t variant = 0;
  unsigned threads = 1;
  CodecChoice codec;                 // at a fixed split, of its tensors or, at split 0, of a JPEG
                                     // at model size; else the plan says
  std::optional<Split> fixed_split;  // else planned per picture
  OnlineOptions online;              // how it is planned; timeout_ns is taken from `timeout`
  DecisionTrace* trace = nullptr;    // told of everything that decisions depend on
  EventLog* log = nullptr;           // told of what is asked again, or finished here
  planner::Caps caps;
  // When set, asked before each picture: memory, storage and speed as they are now take the place
  // of those in `caps` and of the planner's. `caps.min_split` stays.
  std::shared_ptr<CapsWatch> watch;
  PictureLimits picture;
  WeightsOptions weights;  // the planner's preference
  // From the picture's start to the server's last byte; then the device answers.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  // Pictures in work at a time, where the caps leave room for what each of them holds. 1: one after
  // the other, and no thread is taken; else two, to compute and to encode.
  std::size_t overlap = 1;
  AcceptPicture accept;  // null: nobody is told
  // Whether a picture without an answer may wait as its activation: Processed::activation.
  bool offers_activations = false;
};

// `options.online` with what the other options say of planning.
[[nodiscard]] OnlineOptions online_options(const PipelineOptions& options);

// Since the start.
struct PipelineCounters {
  std::uint64_t retries = 0;        // sent again: a break, or not to be decoded there
  std::uint64_t fallbacks = 0;      // pictures that the device finished because no answer came
  std::uint64_t in_time = 0;        // of fallbacks, begun when their time would soon have been over
  std::uint64_t planned_alone = 0;  // pictures not to be sent: no server, or none in time
  std::uint64_t most_in_work = 0;
  std::uint64_t encoded_beside = 0;  // pictures encoded beside another's head, not behind it
};

struct PipelineCounter {
  std::string_view name;
  std::uint64_t PipelineCounters::*value;
};
// All of them, by the names that reports use.
inline constexpr auto kPipelineCounters = std::to_array<PipelineCounter>({
    {"retries", &PipelineCounters::retries},
    {"fallbacks", &PipelineCounters::fallbacks},
    {"finished_in_time", &PipelineCounters::in_time},
    {"planned_alone", &PipelineCounters::planned_alone},
    {"most_in_work", &PipelineCounters::most_in_work},
    {"encoded_beside", &PipelineCounters::encoded_beside},
});
// A counter that is added and not listed is one that nobody sees.
static_assert(sizeof(PipelineCounters) == kPipelineCounters.size() * sizeof(std::uint64_t));

// A picture's end.
struct Processed {
  Record record;
  // As it was read; empty when it could not be, or waited as an activation.
  std::vector<std::byte> file;
  // What its head computed, in the form in which a server is asked, while it has no answer and the
  // options ask for it. Its bytes are in `buffers`.
  std::optional<Activation> activation;
  PictureBuffers buffers;
};

class Pipeline {
 public:
  // `executor` has one thread. `connection` may be null: no server. It and `planner` must outlive
  // the pipeline, and their tables must be complete.
  Pipeline(const asio::any_io_executor& executor, std::shared_ptr<const ModelFile> model,
           const PipelineOptions& options, SplitPlanner* planner, Connection* connection);

  // Answers one picture; may be called while others are in work, and begins with them in the order
  // of the calls. Never fails: what goes wrong is in the record.
  asio::awaitable<Processed> process(PictureTask task);

  [[nodiscard]] const PipelineCounters& counters() const { return counters_; }

 private:
  // What the compute thread must know of memory; it is counted on the executor's thread.
  struct Room {
    std::uint64_t cap_bytes = 0;
    std::uint64_t beside_bytes = 0;  // what other pictures in work hold
  };
  struct Work {
    Record record;
    Clock::time_point started;
    std::vector<std::byte> file;               // or the bytes of what it waited as
    std::optional<ActivationForm> waited_as;   // an activation: no file, its head has run
    std::unique_ptr<BoundaryCodec> its_codec;  // of that
    std::uint64_t crossing_bytes = 0;          // of that, decoded
    PictureBuffers buffers;
    bool has_crossing = false;  // the head has run: what crosses is in them
    // For a file that is decoded whole, until it is; the executor's thread reads and writes it.
    std::uint64_t decode_bytes = 0;
    std::uint64_t buffer_bytes = 0;  // that they take or will take; the executor's thread reads it
    Room room;
    bool is_jpeg = false;
    bool as_pixels = false;  // the plan prefers them to the file
    Split split;
    Clock::time_point latest;            // for the server's answer
    fbs::Codec codec = fbs::Codec::Raw;  // in which form the server is asked
    CodecChoice wanted_codec;            // of tensors or a JPEG at model size, where it applies
    std::optional<fbs::Codec> sent_as;   // and was asked last, under that id
    std::uint64_t wire_id = 0;
    bool may_encode = false;         // the server may take wanted_codec
    bool is_encoded = false;         // or needs not be; the executor's thread has it
    bool server_takes_file = false;  // as far as is known when its head is computed
    bool release_tail = false;       // it was answered since
    std::size_t encoded_bytes = 0;   // in buffers.encoded; 0: it is not encoded
    bool has_pixels = false;         // buffers.pixels are this picture's
    bool gave_up_early = false;      // the device can still answer in time
    std::uint64_t input_ns = 0;      // reading the file to the input's values, as far as done here
    std::uint64_t head_ns = 0;       // the head's ops
  };

  // The front.
  asio::awaitable<Status> begin(Work& work, PictureTask task);
  asio::awaitable<void> await_others();
  asio::awaitable<void> await_codec(Work& work);
  [[nodiscard]] bool uses_codec(const Work& work) const;
  [[nodiscard]] bool shares_codec(const Work& one, const Work& other) const;
  asio::awaitable<Status> load_when_room(Work& work);
  asio::awaitable<void> await_room(Work& work);
  asio::awaitable<void> one_is_done();
  [[nodiscard]] bool may_overlap() const;
  void end(Work& work);
  void refresh_caps();
  [[nodiscard]] Status load(Work& work, std::uint64_t room_bytes) const;
  void accept(Work& work) const;
  asio::awaitable<Status> choose_split(Work& work);
  [[nodiscard]] Situation situation_of(const Work& work, const Status& reached) const;
  Status note_handshake();
  Status plan_split(Work& work, const Status& reached);
  void predict_fixed_split(Work& work);
  void learn(const Work& work, const ServerAnswer& answer);

  // Memory.
  [[nodiscard]] std::uint64_t head_ram_bytes(OpIndex cut) const { return ram_.at(cut).head; }
  [[nodiscard]] std::uint64_t head_ram_bytes(const Work& work) const;
  [[nodiscard]] std::uint64_t alone_ram_bytes(const Work& work) const;
  [[nodiscard]] std::uint64_t planned_buffer_bytes(const Work& work) const;
  [[nodiscard]] std::uint64_t needed_bytes(const Work* more) const;
  [[nodiscard]] std::uint64_t held_beside(const Work& work) const;
  [[nodiscard]] bool can_finish(const Work& work) const;
  void note_room(Work& work) const;

  asio::awaitable<Status> compute_head(Work& work);
  asio::awaitable<Status> encode_crossing(Work& work);
  asio::awaitable<Clock::time_point> take_turn(
      ComputeThread& thread, Work& work, std::function<void()> job,
      ComputeThread::Urgency urgency = ComputeThread::Urgency::kInTurn);

  // The compute thread's.
  Status run_head(Work& work);
  void make_room_for(const Work& work);
  Status compute_input(Work& work);
  Status run_head_ops(Work& work);
  // Empty input: only the pixels. `ram_bytes` is what is held beside the decoder.
  Status prepare_input(Work& work, std::uint64_t ram_bytes, std::span<float> input);
  Status use_buffers(Work& work);
  Status prepare_codec(OpIndex cut, const CodecChoice& choice);
  void release_codec();
  Status prepare_tail(const Work& work);
  Status run_tail(Work& work);

  // The encoding thread's.
  Status encode(Work& work);
  Status encode_tensors(Work& work);
  Status encode_picture(Work& work);
  static Status make_room_for_encoded(Work& work, std::size_t bytes);

  // Activations that waited, or will.
  [[nodiscard]] Status take_activation(Work& work) const;
  asio::awaitable<Status> choose_form_of_activation(Work& work);
  Status restore_tensors(Work& work) const;
  [[nodiscard]] std::optional<Activation> activation_of(const Work& work) const;
  [[nodiscard]] std::uint32_t variant_of(const Work& work) const {
    return work.its_codec != nullptr ? work.waited_as->variant : options_.variant;
  }
  // Of another variant than this run's: it can only be sent.
  [[nodiscard]] bool is_foreign(const Work& work) const {
    return variant_of(work) != options_.variant;
  }

  // The server.
  asio::awaitable<Status> choose_form(Work& work);
  [[nodiscard]] fbs::Codec form_of_picture(const Work& work) const;
  [[nodiscard]] bool server_may_take(const CodecChoice& codec) const;
  [[nodiscard]] std::uint8_t quality_of(const Work& work) const;
  [[nodiscard]] CodecChoice codec_of(const Work& work) const;
  [[nodiscard]] bool server_takes_file(const Work& work) const;
  asio::awaitable<void> wait_out_pause(const Work& work, std::uint64_t ram_bytes);
  asio::awaitable<Status> try_server(Work& work, ServerAnswer& answer);
  asio::awaitable<Status> try_twice(Work& work, ServerAnswer& answer);
  asio::awaitable<Status> ask_anew(Work& work, ServerAnswer& answer, Status refused);
  asio::awaitable<Status> ask_server(Work& work);
  asio::awaitable<Status> finish_locally(Work& work, Status why);
  void log_picture(LogLevel level, std::string_view event, const Work& work,
                   std::string_view why) const;
  [[nodiscard]] Clock::time_point ask_until(const Work& work) const;
  Outgoing make_request(Work& work) const;
  void take_answer(Work& work, ServerAnswer& answer);

  // Of a split at each op boundary.
  struct SplitRam {
    std::uint64_t head = 0;
    std::uint64_t finish = 0;    // the head and then the rest here
    std::uint64_t boundary = 0;  // what crosses
  };

  const asio::any_io_executor executor_;
  std::shared_ptr<const ModelFile> model_;
  const PipelineOptions options_;
  SplitPlanner* planner_;
  Connection* connection_;
  const fbs::Variant& variant_;
  planner::Caps caps_;  // as they were last seen
  const OpIndex op_count_;
  const fbs::Shape input_shape_;
  const bool holds_all_;  // weights
  std::vector<SplitRam> ram_;
  OnlinePlanner online_;
  std::uint64_t handshakes_seen_ = 0;
  std::uint64_t answered_handshake_ = 0;  // of the last answer
  bool answered_ = false;                 // since a head was last computed
  std::uint64_t last_head_ns_ = 0;        // the last one took, with all around it
  std::uint64_t heads_given_ = 0;         // to the compute thread, in order
  std::uint64_t heads_done_ = 0;          // of them
  RequestIds request_ids_;
  PipelineCounters counters_;
  Turns front_;
  Signal one_done_;
  std::vector<Work*> in_work_;
  std::vector<PictureBuffers> idle_;
  // Raised when a head begins and when it ends: odd while one is computed.
  std::atomic<std::uint64_t> head_edges_{0};
  // The compute thread's.
  RangeRunner head_;
  RangeRunner tail_;  // only after a fallback
  // Made and given back by the compute thread, while nothing is left to encode with it
  // (await_codec()); else the encoding thread's.
  std::unique_ptr<BoundaryCodec> codec_;  // of codec_cut_; null: raw
  OpIndex codec_cut_ = 0;
  CodecChoice codec_choice_;  // that was asked for there
  // The last: they end before what they work with.
  ComputeThread compute_;
  ComputeThread encoding_;
};

}  // namespace cleave::agent
