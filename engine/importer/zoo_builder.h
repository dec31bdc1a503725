// SPDX-License-Identifier: Apache-2.0
//
// Builds a zoo network node after node, each reading what the one before it wrote.
//
// Weights: He-normal, deviation sqrt(2 / fan_in) (He et al., ICCV 2015). Every tensor draws from a
// stream of its own (seed, position), so that another number of classes changes the last layer
// only. Batch norms get seeded statistics near the variance that He-normal weights cause, so that
// signals neither die nor grow over the depth of the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/importer/graph.h"
#include "engine/importer/importer.h"

namespace cleave::importer {

struct ConvolutionShape {
  std::uint32_t window = 1, stride = 1, padding = 0;
};

class ZooBuilder {
 public:
  // Starts a network with a square RGB input and ImageNet's usual mean and deviation.
  ZooBuilder(std::string name, const ZooOptions& options);

  // Nodes added from now on belong to this layer.
  void begin_layer(std::string name, std::string kind);

  // Each adds a node behind the current value. `source_type` is the kind of the current layer.
  void conv2d(std::uint32_t output_channels, ConvolutionShape shape, bool with_bias);
  void depthwise(ConvolutionShape shape);
  void fully_connected(std::uint32_t outputs);
  void batch_norm();
  void relu();
  void relu6();
  void max_pool(std::uint32_t window, std::uint32_t stride);
  // Pools to `side` x `side`, a node that changes nothing when that is the size already.
  // REQUIRES: side divides the current height and width.
  void average_pool_to(std::uint32_t side);
  void global_average_pool();
  void dropout();
  // Adds the value that current() gave earlier.
  void add(ValueId earlier);

  [[nodiscard]] ValueId current() const { return current_; }
  [[nodiscard]] const Hwc& shape() const { return graph_.values[current_].shape; }

  // The finished graph, or what does not fit (an input too small for the windows).
  Result<Graph> finish();

 private:
  [[nodiscard]] std::string node_name(const char* suffix) const;
  [[nodiscard]] Node make_node(NodeKind kind, const char* suffix) const;
  void append(Node node, double second_moment);
  std::vector<float> he_normal(std::size_t count, std::size_t fan_in);
  std::vector<float> small_bias(std::size_t count);
  std::uint64_t next_stream_seed();
  [[nodiscard]] double moment() const { return second_moments_[current_]; }

  Graph graph_;
  std::uint64_t seed_;
  std::uint64_t streams_ = 0;
  ValueId current_;
  std::vector<double> second_moments_;  // by value: what its square is expected to be
  Status error_;
};

}  // namespace cleave::importer
