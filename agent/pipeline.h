// SPDX-License-Identifier: Apache-2.0
//
// One picture from its file to its record: prepare, decide, run the head, exchange with the server,
// or finish on the device.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/caps_options.h"
#include "agent/connection.h"
#include "agent/online_planner.h"
#include "agent/picture_task.h"
#include "agent/range_runner.h"
#include "agent/record.h"
#include "agent/request_ids.h"
#include "agent/split_planner.h"
#include "engine/aligned_buffer.h"
#include "engine/codec/boundary_codec.h"
#include "engine/image/picture.h"

namespace cleave::agent {

struct PipelineOptions {
  std::uint32_t variant = 0;
  unsigned threads = 1;
  CodecChoice codec;                 // of tensors at a fixed split; else the plan says
  std::optional<Split> fixed_split;  // else planned per picture
  OnlineOptions online;              // how it is planned; timeout_ns is taken from `timeout`
  DecisionTrace* trace = nullptr;    // told of everything that decisions depend on
  planner::Caps caps;
  // When set, asked before each picture: memory, storage and speed as they are now take the place
  // of those in `caps` and of the planner's. `caps.min_split` stays.
  std::shared_ptr<CapsWatch> watch;
  PictureLimits picture;
  WeightsOptions weights;  // the planner's preference
  // From the picture's start to the server's last byte; then the device answers.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  AcceptPicture accept;  // null: nobody is told
  // Whether a picture without an answer may wait as its activation: last_activation().
  bool offers_activations = false;
};

// `options.online` with what the other options say of planning.
[[nodiscard]] OnlineOptions online_options(const PipelineOptions& options);

class Pipeline {
 public:
  // `connection` may be null: no server. It and `planner` must outlive the pipeline.
  Pipeline(std::shared_ptr<const ModelFile> model, const PipelineOptions& options,
           SplitPlanner* planner, Connection* connection);

  // Answers one picture. Never fails: what goes wrong is in the record.
  asio::awaitable<Record> process(PictureTask task);
  // The file of the picture last processed; empty when it could not be read, or waited as an
  // activation.
  [[nodiscard]] std::span<const std::byte> last_file() const { return last_file_; }
  // What its head computed, in the form in which a server is asked, while it has no answer and the
  // options ask for it; null without. Until the next picture.
  [[nodiscard]] const Activation* last_activation() const {
    return last_activation_ ? &*last_activation_ : nullptr;
  }

 private:
  struct Work {
    Record record;
    Clock::time_point started;
    std::vector<std::byte> file;               // or the bytes of what it waited as
    std::optional<ActivationForm> waited_as;   // an activation: no file, its head has run
    std::unique_ptr<BoundaryCodec> its_codec;  // of that
    // What crosses the cut, in boundary_; empty before the head has run.
    std::vector<std::span<const std::byte>> tensors;
    bool is_jpeg = false;
    bool as_pixels = false;  // the plan prefers them to the file
    Split split;
    Clock::time_point latest;            // for the server's answer
    fbs::Codec codec = fbs::Codec::Raw;  // in which form the server is asked
    CodecChoice tensor_codec;            // of tensors, where it applies
    std::optional<fbs::Codec> sent_as;   // and was asked last, under that id
    std::uint64_t wire_id = 0;
    std::size_t encoded_bytes = 0;  // in encoded_; 0: not encoded yet
    bool has_pixels = false;        // pixels_ are this picture's
    std::uint64_t input_ns = 0;     // reading the file to the input's values, as far as done here
    std::uint64_t head_ns = 0;      // the head's ops
  };

  void refresh_caps();
  [[nodiscard]] Status load(Work& work) const;
  void accept(Work& work) const;
  [[nodiscard]] std::uint64_t room_beside(std::uint64_t ram_bytes) const;
  [[nodiscard]] std::uint64_t ram_bytes_alone(const Work& work) const;
  asio::awaitable<Status> choose_split(Work& work);
  [[nodiscard]] Situation situation_of(const Work& work, const Status& reached) const;
  Status note_handshake();
  Status plan_split(Work& work, const Status& reached);
  void predict_fixed_split(Work& work);
  void learn(const Work& work, const ServerAnswer& answer);
  void make_room_for(const Work& work);
  Status run_head(Work& work);
  // Empty input: only the pixels. `ram_bytes` is what is held beside the decoder.
  Status prepare_input(Work& work, std::uint64_t ram_bytes, std::span<float> input);
  Status choose_form(Work& work);
  Status prepare_codec(OpIndex cut, const CodecChoice& choice);
  void release_codec();
  void encode(Work& work);
  [[nodiscard]] Status take_activation(Work& work) const;
  Status choose_form_of_activation(Work& work);
  Status restore_tensors(Work& work);
  [[nodiscard]] std::optional<Activation> activation_of(Work& work);
  [[nodiscard]] std::uint32_t variant_of(const Work& work) const {
    return work.its_codec != nullptr ? work.waited_as->variant : options_.variant;
  }
  [[nodiscard]] std::uint8_t quality_of(const Work& work) const;
  [[nodiscard]] CodecChoice codec_of(const Work& work) const;
  [[nodiscard]] bool server_takes_file(const Work& work) const;
  asio::awaitable<void> wait_out_pause(const Work& work, std::uint64_t ram_bytes);
  asio::awaitable<Status> try_server(Work& work, ServerAnswer& answer);
  asio::awaitable<Status> ask_server(Work& work);
  Status finish_locally(Work& work, const Status& why);
  Status prepare_tail(const Work& work);
  Outgoing make_request(const Work& work);
  void take_answer(Work& work, ServerAnswer& answer);
  Status use_head_buffers();

  std::shared_ptr<const ModelFile> model_;
  const PipelineOptions options_;
  SplitPlanner* planner_;
  Connection* connection_;
  const fbs::Variant& variant_;
  planner::Caps caps_;  // as they were last seen
  const OpIndex op_count_;
  const fbs::Shape input_shape_;
  RangeRunner head_;
  RangeRunner tail_;                      // only after a fallback
  std::vector<AlignedBuffer> boundary_;   // what the head writes and the link sends
  std::unique_ptr<BoundaryCodec> codec_;  // of codec_cut_; null: raw
  OpIndex codec_cut_ = 0;
  CodecChoice codec_choice_;  // that was asked for there
  AlignedBuffer encoded_;     // what codec_ writes and the link sends
  std::vector<std::uint8_t> pixels_;
  OnlinePlanner online_;
  std::uint64_t handshakes_seen_ = 0;
  RequestIds request_ids_;
  std::vector<std::byte> last_file_;
  std::optional<Activation> last_activation_;
};

}  // namespace cleave::agent
