// SPDX-License-Identifier: Apache-2.0
#include "agent/name_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cleave::agent {
namespace {

// Only of these the system tells when there is more; the others, as /dev/null, are read at once.
bool tells_of_more(int descriptor) {
  struct stat info {};
  if (fstat(descriptor, &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || isatty(descriptor) == 1;
}

}  // namespace

NameLines::NameLines(const asio::any_io_executor& executor, int descriptor) : input_(executor) {
  const int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  flags_ = fcntl(copy, F_GETFL);
  error_code failed;
  if (copy >= 0 && tells_of_more(copy)) input_.assign(copy, failed);
  if (!input_.is_open()) file_ = copy;
}

// Whether it blocks is shared with everybody who has it, as a terminal's shell.
NameLines::~NameLines() {
  const int descriptor = input_.is_open() ? input_.native_handle() : file_;
  if (descriptor >= 0 && flags_ >= 0) (void)fcntl(descriptor, F_SETFL, flags_);
  if (file_ >= 0) ::close(file_);
}

void NameLines::stop() {
  stopping_ = true;
  error_code ignored;
  input_.cancel(ignored);
}

asio::awaitable<Status> NameLines::read_into(PictureQueue& queue) {
  Status status = co_await read_all(queue);
  queue.finish();
  co_return status;
}

asio::awaitable<error_code> NameLines::wait_for_more() {
  if (file_ >= 0) {
    co_await asio::post(input_.get_executor(), asio::use_awaitable);
    co_return error_code();
  }
  const auto [error] =
      co_await input_.async_wait(asio::posix::stream_descriptor::wait_read, as_result);
  co_return error;
}

asio::awaitable<Status> NameLines::read_all(PictureQueue& queue) {
  std::array<char, 4096> bytes{};
  const int descriptor = input_.is_open() ? input_.native_handle() : file_;
  for (;;) {
    const error_code error = co_await wait_for_more();
    if (stopping_) co_return Status::ok();
    if (error) co_return Status(StatusCode::kIo, "standard input: " + error.message());
    const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) {
      co_return Status(StatusCode::kIo, std::string("standard input: ") + std::strerror(errno));
    }
    if (count == 0 && !unfinished_.empty()) unfinished_ += '\n';
    if (std::memchr(bytes.data(), 0, static_cast<std::size_t>(count)) != nullptr) {
      co_return Status(StatusCode::kOutOfRange, "standard input: a line is no name of a file");
    }
    unfinished_.append(bytes.data(), static_cast<std::size_t>(count));
    const bool taken = co_await put_lines(queue);
    if (!taken || count == 0) co_return Status::ok();
    if (unfinished_.size() > kMaxLineBytes) {
      co_return Status(StatusCode::kOutOfRange, "standard input: a line is no name of a file");
    }
  }
}

asio::awaitable<bool> NameLines::put_lines(PictureQueue& queue) {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = unfinished_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string line = unfinished_.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    const std::uint64_t dropped = queue.dropped();
    const bool taken = co_await queue.put(std::move(line));
    if (!taken) co_return false;
    // A drop is written and perhaps synced: what is sent and received comes in between.
    if (queue.dropped() == dropped) continue;
    co_await asio::post(input_.get_executor(), asio::use_awaitable);
  }
  unfinished_.erase(0, begin);
  co_return true;
}

}  // namespace cleave::agent
