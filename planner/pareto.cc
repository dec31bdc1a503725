// SPDX-License-Identifier: Apache-2.0
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

// A front under construction: scores strictly ascend in g_j and descend in g_i.
class SortedFront {
 public:
  SortedFront(std::span<const Candidate> candidates, std::span<const Score> scores,
              const ObjectivePair& objectives, std::span<CandidateIndex> entries)
      : candidates_(candidates),
        scores_(scores),
        g_i_(objectives.optimized),
        g_j_(objectives.constrained),
        entries_(entries) {}

  void add(std::size_t candidate) {
    const std::uint64_t added_i = g_i_(scores_[candidate]);
    const std::uint64_t added_j = g_j_(scores_[candidate]);
    std::size_t first = first_beyond(added_j);
    if (first > 0) {
      const std::size_t left = entries_[first - 1];
      const std::uint64_t left_i = g_i_(scores_[left]);
      const bool same_j = g_j_(scores_[left]) == added_j;
      if (left_i < added_i || (left_i == added_i && !same_j)) return;  // dominated
      if (left_i == added_i && !preferred(candidates_[candidate], candidates_[left])) return;
      if (same_j) --first;  // at the same point and less preferred, or dominated: replaced
    }
    std::size_t last = first;
    while (last < size_ && g_i_(scores_[entries_[last]]) >= added_i) ++last;
    replace(first, last, static_cast<CandidateIndex>(candidate));
  }

  std::size_t size() const { return size_; }

 private:
  std::size_t first_beyond(std::uint64_t value_j) const {
    std::size_t low = 0;
    std::size_t high = size_;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (g_j_(scores_[entries_[middle]]) > value_j) {
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
  Minimized g_i_;
  Minimized g_j_;
  std::span<CandidateIndex> entries_;
  std::size_t size_ = 0;
};

}  // namespace

bool preferred(const Candidate& a, const Candidate& b) {
  if (a.split != b.split) return a.split < b.split;
  if (a.cut != b.cut) return a.cut < b.cut;
  if (a.boundary_bytes != b.boundary_bytes) return a.boundary_bytes < b.boundary_bytes;
  if (a.disagreement_ppm != b.disagreement_ppm) return a.disagreement_ppm < b.disagreement_ppm;
  if (a.variant != b.variant) return a.variant < b.variant;
  return a.codec < b.codec;
}

std::size_t pareto_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                         const ObjectivePair& objectives, std::span<CandidateIndex> front) {
  SortedFront sorted(candidates, scores, objectives, front);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (scores[i].broken == kBoundNone) sorted.add(i);
  }
  return sorted.size();
}

}  // namespace cleave::planner
