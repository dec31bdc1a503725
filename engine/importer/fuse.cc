// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "engine/importer/importer.h"

namespace cleave::importer {
namespace {

constexpr std::size_t kNoNode = static_cast<std::size_t>(-1);

bool has_foldable_kernel(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D ||
         kind == NodeKind::kFullyConnected || kind == NodeKind::kAffine;
}

// The kinds whose operator in the engine clamps its output at no cost.
bool can_clamp(NodeKind kind) {
  switch (kind) {
    case NodeKind::kConv2D:
    case NodeKind::kDepthwiseConv2D:
    case NodeKind::kFullyConnected:
    case NodeKind::kMaxPool2D:
    case NodeKind::kAveragePool2D:
    case NodeKind::kAdd:
    case NodeKind::kMultiply:
    case NodeKind::kClamp:
    case NodeKind::kAffine:
      return true;
    default:
      return false;
  }
}

void merge_layers(Node& into, const Node& from) {
  std::vector<std::uint32_t> merged;
  std::set_union(into.layers.begin(), into.layers.end(), from.layers.begin(), from.layers.end(),
                 std::back_inserter(merged));
  into.layers = std::move(merged);
}

// A node whose output is its input.
bool computes_nothing(const Node& node) {
  if (node.has_clamp()) return false;
  const Window2D& w = node.window;
  switch (node.kind) {
    case NodeKind::kMarker:
    case NodeKind::kClamp:
      return true;
    case NodeKind::kMaxPool2D:
    case NodeKind::kAveragePool2D:
      return w.height == 1 && w.width == 1 && w.stride_height == 1 && w.stride_width == 1 &&
             !node.padding.any();
    case NodeKind::kPad:
      return !node.padding.any();
    case NodeKind::kConcat:
      return node.inputs.size() == 1;
    default:
      return false;
  }
}

// Which output channel a kernel element belongs to.
std::size_t output_channel(const Node& node, std::size_t element, std::size_t channels) {
  const bool channel_is_last =
      node.kind == NodeKind::kDepthwiseConv2D || node.kind == NodeKind::kAffine;
  return channel_is_last ? element % channels : element / (node.kernel.size() / channels);
}

// y = (W x + b) * k + s  ->  (W k) x + (b k + s), each product in double and rounded once.
void fold_affine(Node& node, const Node& affine) {
  const std::size_t channels = affine.kernel.size();
  if (!std::all_of(affine.kernel.begin(), affine.kernel.end(), [](float k) { return k == 1; })) {
    for (std::size_t i = 0; i < node.kernel.size(); ++i) {
      const double factor = affine.kernel[output_channel(node, i, channels)];
      node.kernel[i] = static_cast<float>(node.kernel[i] * factor);
    }
    // The stored grid no longer holds the weights.
    node.kernel_quantization = {};
  }
  node.bias.resize(channels, 0.0f);
  for (std::size_t c = 0; c < channels; ++c) {
    const double shift = affine.bias.empty() ? 0.0 : double{affine.bias[c]};
    node.bias[c] = static_cast<float>(double{node.bias[c]} * affine.kernel[c] + shift);
  }
  node.bias_quantization = {};
}

float clamp_to(float x, const Node& clamp) {
  return std::min(std::max(x, clamp.clamp_min), clamp.clamp_max);
}

// Clamping twice is clamping once to the images of the first bounds.
void fold_clamp(Node& node, const Node& clamp) {
  node.clamp_min = clamp_to(node.clamp_min, clamp);
  node.clamp_max = clamp_to(node.clamp_max, clamp);
}

// A kernel each of whose outputs reads every input channel, the channels being its last axis.
bool is_dense(const Node& node) {
  return (node.kind == NodeKind::kConv2D && node.groups == 1) ||
         node.kind == NodeKind::kFullyConnected;
}

bool all_distinct(std::vector<std::uint32_t> channels) {
  std::sort(channels.begin(), channels.end());
  return std::adjacent_find(channels.begin(), channels.end()) == channels.end();
}

bool is_plain_selection(const Node& node) {
  return node.kind == NodeKind::kSelectChannels && !node.has_clamp() && all_distinct(node.channels);
}

void drop_quantization_per_channel(QuantizationParameters& quantization) {
  if (quantization.axis >= 0) quantization = {};
}

// W (S x) -> (W S) x: a kernel over all `inputs` channels, zero for those that are not selected.
void fold_selection_before(Node& node, const Node& select, std::size_t inputs) {
  const std::size_t selected = select.channels.size();
  std::vector<float> kernel(node.kernel.size() / selected * inputs, 0.0f);
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    kernel[i / selected * inputs + select.channels[i % selected]] = node.kernel[i];
  }
  node.kernel = std::move(kernel);
  drop_quantization_per_channel(node.kernel_quantization);
}

// S (W x + b) -> (S W) x + S b: the rows that are selected, in the order of the selection.
void fold_selection_behind(Node& node, const Node& select, std::size_t outputs) {
  const std::size_t row = node.kernel.size() / outputs;
  std::vector<float> kernel, bias;
  kernel.reserve(select.channels.size() * row);
  for (const std::size_t c : select.channels) {
    const auto begin = node.kernel.begin() + static_cast<std::ptrdiff_t>(c * row);
    kernel.insert(kernel.end(), begin, begin + static_cast<std::ptrdiff_t>(row));
    if (!node.bias.empty()) bias.push_back(node.bias[c]);
  }
  node.kernel = std::move(kernel);
  node.bias = std::move(bias);
  drop_quantization_per_channel(node.kernel_quantization);
  drop_quantization_per_channel(node.bias_quantization);
}

bool is_plain_zero_pad(const Node& node) {
  return node.kind == NodeKind::kPad && node.pad_value == 0 && !node.has_clamp();
}

bool takes_padding(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D || kind == NodeKind::kPad;
}

void fold_pad(Node& node, const Node& pad) {
  node.padding.top += pad.padding.top;
  node.padding.right += pad.padding.right;
  node.padding.bottom += pad.padding.bottom;
  node.padding.left += pad.padding.left;
}

// Walks the nodes in order; every node is merged into a neighbour that was already kept, or kept.
class Fuser {
 public:
  explicit Fuser(Graph& graph) : graph_(graph) {}

  void run() {
    remove_idle_nodes();
    count_uses();
    producer_.assign(graph_.values.size(), kNoNode);
    for (Node& node : graph_.nodes) {
      absorb_pads(node);
      select_from_source(node);
      absorb_selection(node);
      if (!merge_into_producer(node)) keep(std::move(node));
    }
    std::erase_if(kept_, [](const Node& node) { return node.output == kNoValue; });
    graph_.nodes = std::move(kept_);
  }

 private:
  // Readers of what such a node writes read what it reads instead.
  void remove_idle_nodes() {
    std::vector<ValueId> alias(graph_.values.size());
    for (ValueId v = 0; v < alias.size(); ++v) alias[v] = v;
    for (Node& node : graph_.nodes) {
      for (ValueId& input : node.inputs) input = alias[input];
      if (computes_nothing(node)) alias[node.output] = node.inputs[0];
    }
    graph_.output = alias[graph_.output];
    std::erase_if(graph_.nodes, computes_nothing);
  }

  void count_uses() {
    uses_.assign(graph_.values.size(), 0);
    for (const Node& node : graph_.nodes) {
      for (const ValueId input : node.inputs) ++uses_[input];
    }
    ++uses_[graph_.output];
  }

  void keep(Node node) {
    producer_[node.output] = kept_.size();
    kept_.push_back(std::move(node));
  }

  // The node that writes `value`, when nobody but one reader would miss the value.
  Node* sole_producer(ValueId value) {
    const std::size_t index = producer_[value];
    return index == kNoNode || uses_[value] != 1 ? nullptr : &kept_[index];
  }

  void absorb_pads(Node& node) {
    while (takes_padding(node.kind) && (node.kind != NodeKind::kPad || node.pad_value == 0)) {
      Node* pad = sole_producer(node.inputs[0]);
      if (pad == nullptr || !is_plain_zero_pad(*pad)) return;
      fold_pad(node, *pad);
      merge_layers(node, *pad);
      node.inputs[0] = pad->inputs[0];
      producer_[pad->output] = kNoNode;
      pad->output = kNoValue;
    }
  }

  // A selection of what another selected reads the other's input: so a shuffle that is only split
  // again vanishes.
  void select_from_source(Node& node) {
    if (node.kind != NodeKind::kSelectChannels) return;
    const std::size_t index = producer_[node.inputs[0]];
    if (index == kNoNode || !is_plain_selection(kept_[index])) return;
    Node& first = kept_[index];
    for (std::uint32_t& channel : node.channels) channel = first.channels[channel];
    node.inputs[0] = first.inputs[0];
    ++uses_[first.inputs[0]];
    if (--uses_[first.output] > 0) return;
    --uses_[first.inputs[0]];
    merge_layers(node, first);
    producer_[first.output] = kNoNode;
    first.output = kNoValue;
  }

  // Multiply-adds of `node` with the selection in its kernel, and of both apart, for each pixel.
  [[nodiscard]] bool is_cheaper_with(const Node& select, const Node& node) const {
    const Hwc& in = graph_.values[node.inputs[0]].shape;
    const std::size_t pixels =
        node.kind == NodeKind::kFullyConnected ? std::size_t{in.height} * in.width : 1;
    const std::size_t inputs = graph_.values[select.inputs[0]].shape.channels;
    const std::size_t rows = node.kernel.size() / in.channels;
    return rows * inputs <= node.kernel.size() + pixels * in.channels * inputs;
  }

  void absorb_selection(Node& node) {
    if (!is_dense(node)) return;
    Node* select = sole_producer(node.inputs[0]);
    if (select == nullptr || !is_plain_selection(*select) || !is_cheaper_with(*select, node)) {
      return;
    }
    fold_selection_before(node, *select, graph_.values[select->inputs[0]].shape.channels);
    merge_layers(node, *select);
    node.inputs[0] = select->inputs[0];
    producer_[select->output] = kNoNode;
    select->output = kNoValue;
  }

  // Folds what `node` computes into the node before it, if that can be.
  bool fold_behind(Node& before, const Node& node) {
    switch (node.kind) {
      case NodeKind::kAffine:
        if (!has_foldable_kernel(before.kind) || before.has_clamp()) return false;
        fold_affine(before, node);
        return true;
      case NodeKind::kSelectChannels:
        if (!is_dense(before) || !is_plain_selection(node)) return false;
        fold_selection_behind(before, node, graph_.values[before.output].shape.channels);
        return true;
      case NodeKind::kClamp:
        return can_clamp(before.kind);
      default:
        return false;
    }
  }

  bool merge_into_producer(const Node& node) {
    Node* before = sole_producer(node.inputs[0]);
    if (before == nullptr || !fold_behind(*before, node)) return false;
    fold_clamp(*before, node);
    merge_layers(*before, node);
    producer_[node.output] = producer_[before->output];
    before->output = node.output;
    return true;
  }

  Graph& graph_;
  std::vector<std::size_t> uses_;      // by value: reads, and one for the graph's output
  std::vector<std::size_t> producer_;  // by value: index in kept_
  std::vector<Node> kept_;
};

}  // namespace

void fuse(Graph& graph) { Fuser(graph).run(); }

}  // namespace cleave::importer
