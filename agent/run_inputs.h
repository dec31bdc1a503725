// SPDX-License-Identifier: Apache-2.0
//
// Where the pictures of a run come from: files and folders of the command line, or names on
// standard input.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/command_options.h"
#include "agent/name_lines.h"
#include "agent/picture_queue.h"

namespace cleave::agent {

// What stands for standard input among the names.
inline constexpr const char* kStandardInput = "-";

class RunInputs {
 public:
  // Errors: kInvalidArgument (standard input among other names), those of list_pictures().
  static Result<RunInputs> from(const CommandOptions& options);

  // Makes the queue; `on_drop` is told of each name that it drops. Once.
  void open(const asio::any_io_executor& executor, PictureQueue::OnDrop on_drop);

  // Until every name is in the queue. Errors: those of NameLines::read_into().
  asio::awaitable<Status> feed();
  void stop();

  // REQUIRES: open() was called.
  [[nodiscard]] PictureQueue& queue() { return *queue_; }
  // Pictures that will come; 0: nobody knows.
  [[nodiscard]] std::size_t total() const { return total_; }

 private:
  bool from_standard_input_ = false;
  std::size_t capacity_ = 1;
  QueueFull full_ = QueueFull::kBlock;
  std::vector<std::string> pictures_;
  std::size_t total_ = 0;
  std::unique_ptr<PictureQueue> queue_;
  std::unique_ptr<NameLines> names_;
};

}  // namespace cleave::agent
