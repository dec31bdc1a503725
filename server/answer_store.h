// SPDX-License-Identifier: Apache-2.0
//
// The answers given lately, for agents that resend a request because its answer was lost on the
// way. Bounded by number, bytes and age; what goes first is what was answered first. It only saves
// work: an answer that is gone is computed anew. Belongs to the network thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "server/request_key.h"

namespace cleave::server {

struct StoredAnswer {
  std::uint64_t sample = 0;  // of the attachment (attachment_sample.h)
  std::vector<float> scores;
  std::uint64_t queue_ns = 0, decode_ns = 0, compute_ns = 0;
};

struct AnswerStoreLimits {
  std::size_t max_entries = 16384;  // 0: nothing is stored
  std::uint64_t max_bytes = std::uint64_t{64} << 20;
  std::chrono::milliseconds time_to_live{600'000};
};

class AnswerStore {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Found { kNothing, kAnswer, kOther };  // kOther: that key had another shape
  struct Hit {
    Found found = Found::kNothing;
    std::shared_ptr<const StoredAnswer> answer = nullptr;  // of kAnswer
  };

  explicit AnswerStore(const AnswerStoreLimits& limits) : limits_(limits) {}

  // Forgets what is too old by `now` first.
  Hit find(const RequestKey& key, const RequestShape& shape, Time now);

  // Keeps `answer`, in place of an older one of that key; the oldest make room. Nothing is kept
  // that alone is over the limits. On bad_alloc nothing has changed but for what is too old.
  void put(const RequestKey& key, const RequestShape& shape,
           std::shared_ptr<const StoredAnswer> answer, Time now);

  [[nodiscard]] std::size_t entries() const { return entries_.size(); }
  // By our own count: scores, names, and what the containers take.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // How many made room before their time.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  struct Entry {
    RequestShape shape;
    std::shared_ptr<const StoredAnswer> answer;
    Time answered;
    std::uint64_t bytes = 0;
    std::list<const RequestKey*>::iterator age;
  };
  using Entries = std::map<RequestKey, Entry>;

  void forget_old(Time now);
  void erase(Entries::iterator entry);

  const AnswerStoreLimits limits_;
  Entries entries_;
  std::list<const RequestKey*> by_age_;  // oldest first; into entries_
  std::uint64_t bytes_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace cleave::server
