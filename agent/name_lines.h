// SPDX-License-Identifier: Apache-2.0
//
// Names of pictures from a file descriptor, one a line, as they come: `run -` reads standard input.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <string>

#include "agent/net.h"
#include "agent/picture_queue.h"
#include "schemas/status.h"

namespace cleave::agent {

class NameLines {
 public:
  // Longest line that is taken for a name (PATH_MAX).
  static constexpr std::size_t kMaxLineBytes = 4096;

  // Reads a copy of `descriptor`.
  NameLines(const asio::any_io_executor& executor, int descriptor);
  ~NameLines();
  NameLines(const NameLines&) = delete;
  NameLines& operator=(const NameLines&) = delete;

  // Every line that is not empty goes into `queue`, which is finished at the end, whatever ended
  // it. Errors: kIo, kOutOfRange (a line too long).
  asio::awaitable<Status> read_into(PictureQueue& queue);
  // Ends read_into().
  void stop();

 private:
  asio::awaitable<Status> read_all(PictureQueue& queue);
  asio::awaitable<bool> put_lines(PictureQueue& queue);
  asio::awaitable<error_code> wait_for_more();

  asio::posix::stream_descriptor input_;
  int file_ = -1;           // instead of it, what cannot be waited for: a plain file
  int flags_ = -1;          // of the descriptor as it was
  std::string unfinished_;  // line
  bool stopping_ = false;
};

}  // namespace cleave::agent
