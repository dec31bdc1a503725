// SPDX-License-Identifier: Apache-2.0
//
// Which channels of a network's values can be multiplied by a factor without changing what the
// network computes, and which of them need the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/importer/graph.h"

namespace cleave::importer {

// True for nodes whose kernels take up factors: their output channels' and their input channels'.
[[nodiscard]] bool takes_up_factors(NodeKind kind);

// Channels are in one group when nothing but sums, concatenations, pools, paddings with zero and
// clamps lie between them; convolutions and fully connected layers stand at the groups' ends. A
// group is free when such nodes write and read all its channels: not the network's input or output,
// not what a sigmoid reads, not what is clamped away from zero. A value's channels that go together
// with others' make those values one component. Immutable.
class ChannelGroups {
 public:
  // REQUIRES: lower(graph) succeeded. `graph` is not kept.
  explicit ChannelGroups(const Graph& graph);

  [[nodiscard]] std::size_t group_count() const { return free_.size(); }
  [[nodiscard]] bool is_free(std::size_t group) const { return free_[group]; }
  // The group of a value's channel.
  [[nodiscard]] std::size_t group_of(ValueId value, std::size_t channel) const {
    return group_of_slot_[first_slot_[value] + channel];
  }
  // A number for each component, the least of its values.
  [[nodiscard]] ValueId component_of(ValueId value) const { return component_of_[value]; }

 private:
  std::vector<std::size_t> first_slot_;  // of each value: a slot is one channel of it
  std::vector<std::size_t> group_of_slot_;
  std::vector<bool> free_;
  std::vector<ValueId> component_of_;
};

}  // namespace cleave::importer
