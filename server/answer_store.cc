// SPDX-License-Identifier: Apache-2.0
#include "server/answer_store.h"

#include <utility>

namespace cleave::server {
namespace {

// Nodes of the map and the list, the answer's own block, and what malloc rounds up.
constexpr std::uint64_t kOverheadBytes = 400;

std::uint64_t entry_bytes(const RequestKey& key, const StoredAnswer& answer) {
  return kOverheadBytes + key.device.size() + answer.scores.size() * sizeof(float);
}

}  // namespace

AnswerStore::Hit AnswerStore::find(const RequestKey& key, const RequestShape& shape, Time now) {
  forget_old(now);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return {};
  if (!(at->second.shape == shape)) return {.found = Found::kOther};
  return {.found = Found::kAnswer, .answer = at->second.answer};
}

void AnswerStore::put(const RequestKey& key, const RequestShape& shape,
                      std::shared_ptr<const StoredAnswer> answer, Time now) {
  forget_old(now);
  const std::uint64_t bytes = entry_bytes(key, *answer);
  if (limits_.max_entries == 0 || bytes > limits_.max_bytes) return;
  // Everything that can fail comes before the first change.
  std::list<const RequestKey*> age(1, nullptr);
  Entries one;
  one.emplace(key, Entry{shape, std::move(answer), now, bytes, {}});
  if (const auto older = entries_.find(key); older != entries_.end()) erase(older);
  while (entries_.size() >= limits_.max_entries || bytes_ + bytes > limits_.max_bytes) {
    erase(entries_.find(*by_age_.front()));
    ++evicted_;
  }
  const auto at = entries_.insert(one.extract(one.begin())).position;
  age.front() = &at->first;
  by_age_.splice(by_age_.end(), age);
  at->second.age = std::prev(by_age_.end());
  bytes_ += bytes;
}

void AnswerStore::forget_old(Time now) {
  while (!by_age_.empty()) {
    const auto oldest = entries_.find(*by_age_.front());
    if (now - oldest->second.answered < limits_.time_to_live) return;
    erase(oldest);
  }
}

void AnswerStore::erase(Entries::iterator entry) {
  bytes_ -= entry->second.bytes;
  by_age_.erase(entry->second.age);
  entries_.erase(entry);
}

}  // namespace cleave::server
