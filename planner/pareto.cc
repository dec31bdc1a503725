// SPDX-License-Identifier: Apache-2.0
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

// A front under construction: scores strictly ascend in latency and in memory.
class SortedFront {
 public:
  SortedFront(std::span<const Candidate> candidates, std::span<const Score> scores,
              std::span<CandidateIndex> entries)
      : candidates_(candidates), scores_(scores), entries_(entries) {}

  void add(std::size_t candidate) {
    const Score& added = scores_[candidate];
    std::size_t first = first_slower_than(added.latency_ns);
    if (first > 0) {
      const std::size_t left = entries_[first - 1];
      const Score& neighbour = scores_[left];
      if (dominates(neighbour, added)) return;
      if (neighbour.latency_ns == added.latency_ns) {
        const bool equal = neighbour.memory_bytes == added.memory_bytes;
        if (equal && !preferred(candidates_[candidate], candidates_[left])) return;
        --first;  // equal and less preferred, or as fast and less deep: replaced
      }
    }
    std::size_t last = first;
    while (last < size_ && scores_[entries_[last]].memory_bytes <= added.memory_bytes) ++last;
    replace(first, last, static_cast<CandidateIndex>(candidate));
  }

  std::size_t size() const { return size_; }

 private:
  std::size_t first_slower_than(std::uint64_t latency_ns) const {
    std::size_t low = 0;
    std::size_t high = size_;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (scores_[entries_[middle]].latency_ns > latency_ns) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  // Entries [first, last) make place for `candidate`.
  void replace(std::size_t first, std::size_t last, CandidateIndex candidate) {
    if (first == last) {
      for (std::size_t i = size_; i > first; --i) entries_[i] = entries_[i - 1];
      ++size_;
    } else if (last - first > 1) {
      const std::size_t gap = last - first - 1;
      for (std::size_t i = last; i < size_; ++i) entries_[i - gap] = entries_[i];
      size_ -= gap;
    }
    entries_[first] = candidate;
  }

  std::span<const Candidate> candidates_;
  std::span<const Score> scores_;
  std::span<CandidateIndex> entries_;
  std::size_t size_ = 0;
};

}  // namespace

bool preferred(const Candidate& a, const Candidate& b) {
  if (a.split != b.split) return a.split < b.split;
  if (a.cut != b.cut) return a.cut < b.cut;
  if (a.boundary_bytes != b.boundary_bytes) return a.boundary_bytes < b.boundary_bytes;
  if (a.variant != b.variant) return a.variant < b.variant;
  return a.codec < b.codec;
}

std::size_t pareto_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                         std::span<CandidateIndex> front) {
  SortedFront sorted(candidates, scores, front);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (scores[i].broken == kBoundNone) sorted.add(i);
  }
  return sorted.size();
}

}  // namespace cleave::planner
