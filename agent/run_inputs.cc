// SPDX-License-Identifier: Apache-2.0
#include "agent/run_inputs.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/picture_source.h"

namespace cleave::agent {
namespace {

QueueFull parse_queue_full(const std::string& text) {
  if (text == "drop-oldest") return QueueFull::kDropOldest;
  return text == "drop-newest" ? QueueFull::kDropNewest : QueueFull::kBlock;
}

}  // namespace

Result<RunInputs> RunInputs::from(const CommandOptions& options) {
  RunInputs inputs;
  inputs.from_standard_input_ = std::ranges::count(options.images, kStandardInput) > 0;
  inputs.capacity_ = options.queue;
  inputs.full_ = parse_queue_full(options.queue_full);
  if (!inputs.from_standard_input_) {
    CLEAVE_ASSIGN_OR_RETURN(inputs.pictures_, list_pictures(options.images));
    inputs.total_ = inputs.pictures_.size();
  } else if (options.images.size() > 1) {
    return Status(StatusCode::kInvalidArgument,
                  "names come from standard input (-) or from the command line, not from both");
  }
  return inputs;
}

void RunInputs::open(const asio::any_io_executor& executor, PictureQueue::OnDrop on_drop) {
  queue_ = std::make_unique<PictureQueue>(executor, capacity_, full_, std::move(on_drop));
  if (from_standard_input_) names_ = std::make_unique<NameLines>(executor, STDIN_FILENO);
}

asio::awaitable<Status> RunInputs::feed() {
  if (names_ != nullptr) co_return co_await names_->read_into(*queue_);
  queue_->fill(std::move(pictures_));
  co_return Status::ok();
}

void RunInputs::stop() {
  queue_->close();  // whoever waits for room in it
  if (names_ != nullptr) names_->stop();
}

}  // namespace cleave::agent
