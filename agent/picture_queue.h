// SPDX-License-Identifier: Apache-2.0
//
// Names of pictures that arrive by themselves, between whoever brings them and the run that takes
// them: bounded, and when it is full, the one who brings waits, or a picture is dropped. One of
// each side, on one executor's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/signal.h"

namespace cleave::agent {

enum class QueueFull : std::uint8_t { kBlock, kDropOldest, kDropNewest };

class PictureQueue {
 public:
  // Told of each picture that is dropped.
  using OnDrop = std::function<void(const std::string& image)>;

  // REQUIRES: capacity > 0.
  PictureQueue(const asio::any_io_executor& executor, std::size_t capacity, QueueFull full,
               OnDrop on_drop)
      : capacity_(capacity),
        full_(full),
        on_drop_(std::move(on_drop)),
        arrived_(executor),
        taken_(executor) {}

  // Under kBlock it waits for room. False: the other side takes no more.
  asio::awaitable<bool> put(std::string image) {
    while (!closed_ && full_ == QueueFull::kBlock && waiting_.size() >= capacity_) {
      taken_.reset();
      (void)co_await taken_.wait();
    }
    if (closed_) co_return false;
    if (waiting_.size() < capacity_) {
      waiting_.push_back(std::move(image));
    } else if (full_ == QueueFull::kDropNewest) {
      drop(image);
    } else {
      waiting_.push_back(std::move(image));
      const std::string oldest = std::exchange(waiting_.front(), {});
      waiting_.pop_front();
      drop(oldest);
    }
    arrived_.set();
    co_return true;
  }
  // All at once, however many, and no more come.
  void fill(std::vector<std::string> images) {
    waiting_.assign(std::make_move_iterator(images.begin()), std::make_move_iterator(images.end()));
    finish();
  }
  // No more come; what is there is still taken.
  void finish() {
    finished_ = true;
    arrived_.set();
  }

  // The next, when it has come; nothing after the last, after close(), and when it was woken.
  asio::awaitable<std::optional<std::string>> take() {
    while (!closed_ && !finished_ && !woken_ && waiting_.empty()) {
      arrived_.reset();
      (void)co_await arrived_.wait();
    }
    woken_ = false;
    if (closed_ || waiting_.empty()) co_return std::nullopt;
    std::optional<std::string> image(std::move(waiting_.front()));
    waiting_.pop_front();
    taken_.set();
    co_return image;
  }
  // The run ends: nothing is taken any more, and those that wait were never begun.
  void close() {
    closed_ = true;
    arrived_.set();
    taken_.set();
  }

  // Whoever waits in take() has something else to do first.
  void wake() {
    woken_ = true;
    arrived_.set();
  }

  // take() gives nothing any more.
  [[nodiscard]] bool is_over() const { return closed_ || (finished_ && waiting_.empty()); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  void drop(const std::string& image) {
    ++dropped_;
    if (on_drop_) on_drop_(image);
  }

  const std::size_t capacity_;
  const QueueFull full_;
  const OnDrop on_drop_;
  std::deque<std::string> waiting_;
  Signal arrived_;
  Signal taken_;
  bool finished_ = false;
  bool closed_ = false;
  bool woken_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace cleave::agent
