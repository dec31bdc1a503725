// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/range_plan.h"

#include <algorithm>
#include <utility>

#include "engine/memory/lifetime.h"

namespace cleave {
namespace {

void find_buffers(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                  std::span<const OpMemory> ops, OutputPlace outputs, RangePlan& plan) {
  const std::vector<Lifetime> lifetimes = find_lifetimes(variant);
  const std::uint32_t begin = range.first;
  const std::uint32_t end = range.last + 1;
  plan.inputs = tensors_crossing(lifetimes, range.first);
  plan.outputs = tensors_crossing(lifetimes, range.last);
  plan.tensors.assign(lifetimes.size(), {});
  plan.workspaces.assign(ops.size(), {});
  for (TensorId tensor = 0; tensor < lifetimes.size(); ++tensor) {
    const Lifetime& life = lifetimes[tensor];
    const bool written_inside = life.defined > begin && life.defined < end;
    if (!life.crosses(range.first) && !written_inside) continue;
    if (outputs == OutputPlace::kCaller && written_inside && life.crosses(range.last)) continue;
    plan.tensors[tensor] = {
        .bytes = batch * tensor_bytes(*variant.tensors()->Get(tensor)) + kBufferSlackBytes,
        .first = std::max(life.defined, begin),
        .last = std::min(life.last_read, end)};
  }
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const std::uint32_t step = begin + static_cast<std::uint32_t>(i) + 1;
    plan.workspaces[i] = {.bytes = ops[i].workspace_bytes, .first = step, .last = step};
  }
}

// Gives buffers their places. Tensors of ops that compute in place share a request: a chain of them
// may, each beginning some bytes before the one that it is computed from.
class Places {
 public:
  Places(const fbs::Variant& variant, OpRange range, std::span<const OpMemory> ops, RangePlan& plan)
      : variant_(variant), range_(range), ops_(ops), plan_(plan), in_place_(ops.size(), false) {}

  void plan() {
    place();
    const bool any = std::ranges::any_of(
        ops_, [](const OpMemory& op) { return op.output_lead_bytes != OpMemory::kApart; });
    if (!any) return;
    // Only less at the fullest step makes an arena smaller. Others as full may follow, so the least
    // of all is kept.
    RangePlan best = plan_;
    for (std::size_t shared = 0; shared < most_shared() && share_at_fullest_step(); ++shared) {
      place();
      if (plan_.memory.bytes < best.memory.bytes) best = plan_;
    }
    plan_ = std::move(best);
  }

 private:
  // Each costs a plan; networks of the literature are done after one to five. The more ops, the
  // fewer: planning a file of thousands must not take hours.
  [[nodiscard]] std::size_t most_shared() const {
    constexpr std::size_t kMost = 64;
    constexpr std::size_t kOpsOfAll = 8192;
    return std::min(kMost, 1 + kOpsOfAll / (1 + ops_.size()));
  }

  struct Chain {
    std::ptrdiff_t begin = 0;  // from the first byte of its first tensor
    std::ptrdiff_t end = 0;
    BufferRequest request;
  };

  [[nodiscard]] bool may_share(std::size_t op) const {
    if (in_place_[op] || ops_[op].output_lead_bytes == OpMemory::kApart) return false;
    const fbs::Op& node = node_at(op);
    const std::uint32_t step = range_.first + static_cast<std::uint32_t>(op) + 1;
    const BufferRequest& input = plan_.tensors[node.inputs()->Get(0)];
    const BufferRequest& output = plan_.tensors[node.output()];
    return input.bytes > 0 && output.bytes > 0 && input.last == step && output.first == step;
  }

  [[nodiscard]] bool share_at_fullest_step() {
    std::size_t fullest = ops_.size();
    std::size_t most = 0;
    for (std::size_t op = 0; op < ops_.size(); ++op) {
      const std::uint32_t step = range_.first + static_cast<std::uint32_t>(op) + 1;
      std::size_t live = 0;
      for (const BufferRequest& request : plan_.requests) {
        if (request.first <= step && step <= request.last) live += request.bytes;
      }
      const bool better = live > most || (live == most && fullest < ops_.size() &&
                                          !may_share(fullest) && may_share(op));
      if (!better) continue;
      most = live;
      fullest = op;
    }
    if (fullest == ops_.size() || !may_share(fullest)) return false;
    in_place_[fullest] = true;
    return true;
  }

  void place() {
    std::vector<Chain> chains;
    std::vector<std::size_t> chain_of(plan_.tensors.size());
    std::vector<std::ptrdiff_t> position(plan_.tensors.size(), 0);
    const auto add = [&](TensorId tensor, std::size_t chain) {
      const BufferRequest& buffer = plan_.tensors[tensor];
      Chain& all = chains[chain_of[tensor] = chain];
      all.begin = std::min(all.begin, position[tensor]);
      all.end = std::max(all.end, position[tensor] + static_cast<std::ptrdiff_t>(buffer.bytes));
      all.request.bytes = static_cast<std::size_t>(all.end - all.begin);
      all.request.last = std::max(all.request.last, buffer.last);
    };
    const auto add_alone = [&](TensorId tensor) {
      if (plan_.tensors[tensor].bytes == 0) return;
      chains.push_back({.request = {.first = plan_.tensors[tensor].first}});
      add(tensor, chains.size() - 1);
    };
    for (const TensorId input : plan_.inputs) add_alone(input);
    for (std::size_t op = 0; op < ops_.size(); ++op) {
      const TensorId output = node_at(op).output();
      if (!in_place_[op]) {
        add_alone(output);
        continue;
      }
      const TensorId input = node_at(op).inputs()->Get(0);
      position[output] = position[input] - lead(op);
      add(output, chain_of[input]);
    }
    plan_requests(chains);
    for (TensorId tensor = 0; tensor < plan_.tensors.size(); ++tensor) {
      std::size_t& offset = plan_.tensor_offsets[tensor] = RangePlan::kNowhere;
      if (plan_.tensors[tensor].bytes == 0) continue;
      const std::size_t chain = chain_of[tensor];
      offset = plan_.memory.offsets[chain] +
               static_cast<std::size_t>(position[tensor] - chains[chain].begin);
    }
  }

  // Those of the chains, then those of the workspaces.
  void plan_requests(const std::vector<Chain>& chains) {
    plan_.requests.clear();
    for (const Chain& chain : chains) plan_.requests.push_back(chain.request);
    for (const BufferRequest& workspace : plan_.workspaces) {
      if (workspace.bytes > 0) plan_.requests.push_back(workspace);
    }
    plan_.memory = plan_memory(plan_.requests, kBufferAlignment);
    std::size_t request = chains.size();
    for (std::size_t op = 0; op < plan_.workspaces.size(); ++op) {
      plan_.workspace_offsets[op] =
          plan_.workspaces[op].bytes == 0 ? RangePlan::kNowhere : plan_.memory.offsets[request++];
    }
  }

  // Tensors stay aligned.
  [[nodiscard]] std::ptrdiff_t lead(std::size_t op) const {
    constexpr std::size_t kMask = kBufferAlignment - 1;
    return static_cast<std::ptrdiff_t>((ops_[op].output_lead_bytes + kMask) & ~kMask);
  }

  [[nodiscard]] const fbs::Op& node_at(std::size_t op) const {
    return *variant_.ops()->Get(range_.first + static_cast<OpIndex>(op));
  }

  const fbs::Variant& variant_;
  OpRange range_;
  std::span<const OpMemory> ops_;
  RangePlan& plan_;
  std::vector<bool> in_place_;  // by op - range.first
};

}  // namespace

RangePlan plan_range(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                     std::span<const OpMemory> ops, OutputPlace outputs) {
  RangePlan plan;
  find_buffers(variant, range, batch, ops, outputs, plan);
  plan.tensor_offsets.assign(plan.tensors.size(), RangePlan::kNowhere);
  plan.workspace_offsets.assign(ops.size(), RangePlan::kNowhere);
  Places(variant, range, ops, plan).plan();
  return plan;
}

}  // namespace cleave
