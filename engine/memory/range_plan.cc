// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/range_plan.h"

#include <algorithm>

#include "engine/memory/lifetime.h"

namespace cleave {
namespace {

// Collects requests and remembers whose each is, to hand out the offsets afterwards.
class Requests {
 public:
  explicit Requests(std::vector<BufferRequest>& requests) : requests_(requests) {}

  void add(std::size_t bytes, std::uint32_t first, std::uint32_t last, std::size_t& offset) {
    offset = RangePlan::kNowhere;
    if (bytes == 0) return;
    requests_.push_back({.bytes = bytes, .first = first, .last = last});
    places_.push_back(&offset);
  }

  void hand_out(const MemoryPlan& plan) {
    for (std::size_t i = 0; i < places_.size(); ++i) *places_[i] = plan.offsets[i];
  }

 private:
  std::vector<BufferRequest>& requests_;
  std::vector<std::size_t*> places_;
};

}  // namespace

RangePlan plan_range(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                     std::span<const std::size_t> workspace_bytes, OutputPlace outputs) {
  const std::vector<Lifetime> lifetimes = find_lifetimes(variant);
  const std::uint32_t begin = range.first;
  const std::uint32_t end = range.last + 1;
  RangePlan plan;
  plan.inputs = tensors_crossing(lifetimes, range.first);
  plan.outputs = tensors_crossing(lifetimes, range.last);
  plan.tensor_offsets.assign(lifetimes.size(), RangePlan::kNowhere);
  plan.workspace_offsets.assign(workspace_bytes.size(), RangePlan::kNowhere);
  Requests requests(plan.requests);
  for (TensorId tensor = 0; tensor < lifetimes.size(); ++tensor) {
    const Lifetime& life = lifetimes[tensor];
    const bool written_inside = life.defined > begin && life.defined < end;
    if (!life.crosses(range.first) && !written_inside) continue;
    if (outputs == OutputPlace::kCaller && written_inside && life.crosses(range.last)) continue;
    const std::size_t bytes =
        batch * tensor_bytes(*variant.tensors()->Get(tensor)) + kBufferSlackBytes;
    requests.add(bytes, std::max(life.defined, begin), std::min(life.last_read, end),
                 plan.tensor_offsets[tensor]);
  }
  for (std::size_t i = 0; i < workspace_bytes.size(); ++i) {
    const std::uint32_t step = begin + static_cast<std::uint32_t>(i) + 1;
    requests.add(workspace_bytes[i], step, step, plan.workspace_offsets[i]);
  }
  plan.memory = plan_memory(plan.requests, kBufferAlignment);
  requests.hand_out(plan.memory);
  return plan;
}

}  // namespace cleave
