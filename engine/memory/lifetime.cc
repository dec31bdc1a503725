// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/lifetime.h"

#include <algorithm>

namespace cleave {

std::vector<Lifetime> find_lifetimes(const fbs::Variant& variant) {
  std::vector<Lifetime> lifetimes(variant.tensors()->size());
  lifetimes[variant.input()] = {.defined = 0, .last_read = 1};
  const OpIndex op_count = variant.ops()->size();
  for (OpIndex op = 0; op < op_count; ++op) {
    const fbs::Op& node = *variant.ops()->Get(op);
    const std::uint32_t step = op + 1;
    for (const TensorId input : *node.inputs()) lifetimes[input].last_read = step;
    lifetimes[node.output()] = {.defined = step, .last_read = step};
  }
  // The output may be written long before the last op.
  lifetimes[variant.output()].last_read = op_count + 1;
  return lifetimes;
}

std::vector<TensorId> tensors_crossing(const std::vector<Lifetime>& lifetimes, OpIndex boundary) {
  std::vector<TensorId> crossing;
  for (TensorId tensor = 0; tensor < lifetimes.size(); ++tensor) {
    if (lifetimes[tensor].crosses(boundary)) crossing.push_back(tensor);
  }
  return crossing;
}

}  // namespace cleave
