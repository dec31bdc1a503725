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

#include "agent/connection.h"
#include "agent/range_runner.h"
#include "agent/record.h"
#include "agent/split_planner.h"
#include "engine/aligned_buffer.h"
#include "engine/image/picture.h"
#include "planner/hysteresis.h"
#include "planner/link_estimator.h"

namespace cleave::agent {

struct PipelineOptions {
  std::uint32_t variant = 0;
  unsigned threads = 1;
  std::optional<Split> fixed_split;  // else planned per picture
  planner::Request request;          // policy and rank when planned
  planner::Caps caps;
  planner::Link initial_link;  // what is believed before the first transfer
  bool keep_link = false;      // the user gave the bandwidth: do not estimate
  bool keep_rtt = false;       // the user gave the round trip: do not measure
  PictureLimits picture;
  WeightsOptions weights;  // the planner's preference
  // From the picture's start to the server's last byte; then the device answers.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  // One step of the link's estimate back to the initial belief, while nothing is sent.
  std::chrono::nanoseconds link_drift = std::chrono::seconds(30);
};

// Whether an absent server is all that keeps `plan` from a split that `policy` may choose.
bool only_server_is_missing(const Plan& plan, planner::Policy policy);

class Pipeline {
 public:
  // `connection` may be null: no server. It and `planner` must outlive the pipeline.
  Pipeline(std::shared_ptr<const ModelFile> model, const PipelineOptions& options,
           SplitPlanner* planner, Connection* connection);

  // Answers one picture. Never fails: what goes wrong is in the record.
  asio::awaitable<Record> process(std::string image);

 private:
  struct Work {
    Record record;
    Clock::time_point started;
    std::vector<std::byte> file;
    bool is_jpeg = false;
    Split split;
    Clock::time_point latest;            // for the server's answer
    fbs::Codec codec = fbs::Codec::Raw;  // in which form the server is asked
    bool has_pixels = false;             // pixels_ are this picture's
  };

  [[nodiscard]] Status load(Work& work) const;
  [[nodiscard]] std::uint64_t room_beside(std::uint64_t ram_bytes) const;
  [[nodiscard]] std::uint64_t ram_bytes_alone(const Work& work) const;
  asio::awaitable<Status> choose_split(Work& work);
  Status plan_split(Work& work, const Status& reached);
  Status plan_without_server(Work& work, Plan& plan, planner::Request& request,
                             const PictureCost& picture, const planner::Caps& caps,
                             const std::string& why) const;
  [[nodiscard]] std::size_t settle(const Plan& plan, planner::Policy policy);
  [[nodiscard]] bool is_past_timeout(const PlannedSplit& row) const;
  [[nodiscard]] planner::Link current_link(bool reached) const;
  [[nodiscard]] std::uint64_t idle_steps() const;
  void note_round_trip();
  void observe_link(std::uint64_t bytes_up, std::uint64_t elapsed_ns);
  void make_room_for(const Work& work);
  Status run_head(Work& work);
  // Empty input: only the pixels. `ram_bytes` is what is held beside the decoder.
  Status prepare_input(Work& work, std::uint64_t ram_bytes, std::span<float> input);
  Status choose_form(Work& work);
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
  const OpIndex op_count_;
  const fbs::Shape input_shape_;
  RangeRunner head_;
  RangeRunner tail_;                     // only after a fallback
  std::vector<AlignedBuffer> boundary_;  // what the head writes and the link sends
  std::vector<std::uint8_t> pixels_;
  planner::LinkEstimator link_;
  Clock::time_point last_transfer_ = Clock::now();
  std::uint64_t handshakes_seen_ = 0;
  planner::Hysteresis hysteresis_;
  std::uint64_t next_request_id_ = 1;
  std::uint64_t random_seed_ = 0;
};

}  // namespace cleave::agent
