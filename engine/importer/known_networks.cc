// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/known_networks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>

#include "engine/importer/chain_walker.h"

namespace cleave::importer {
namespace {

std::string feature(std::size_t index) { return "features." + std::to_string(index); }

bool is_square(const Node* node, std::uint32_t window) {
  return node != nullptr && node->window.height == window && node->window.width == window;
}

bool take_average_pool(ChainWalker& walk) {
  return walk.take(NodeKind::kGlobalAveragePool) != nullptr ||
         walk.take(NodeKind::kAveragePool2D) != nullptr;
}

// A fully connected layer, which some exports write as a convolution over the whole picture; its
// bias may be a node of its own.
bool take_linear(ChainWalker& walk) {
  if (walk.take(NodeKind::kFullyConnected) == nullptr && walk.take(NodeKind::kConv2D) == nullptr) {
    return false;
  }
  walk.take(NodeKind::kAffine);
  return true;
}

// The seven modules of a torchvision classifier, in the order of `kinds`.
bool take_classifier(ChainWalker& walk, std::initializer_list<const char*> kinds) {
  std::size_t index = 0;
  for (const std::string kind : kinds) {
    walk.begin_layer("classifier." + std::to_string(index++), kind);
    if (kind == "Linear" && !take_linear(walk)) return false;
    if (kind == "ReLU" && walk.take(NodeKind::kClamp) == nullptr) return false;
  }
  walk.take(NodeKind::kSoftmax);
  return true;
}

// One convolution and its activation, and a batch norm between them when `batch_norm`.
bool take_vgg_convolution(ChainWalker& walk, std::size_t& index, bool batch_norm) {
  walk.begin_layer(feature(index++), "Conv2d");
  if (!is_square(walk.take(NodeKind::kConv2D), 3)) return false;
  if (batch_norm) {
    walk.begin_layer(feature(index++), "BatchNorm2d");
    if (walk.take(NodeKind::kAffine) == nullptr) return false;
  }
  walk.begin_layer(feature(index++), "ReLU");
  return walk.take(NodeKind::kClamp) != nullptr;
}

// How many convolutions each of the five blocks holds in VGG-11, 13, 16 and 19.
constexpr std::array<std::array<int, 5>, 4> kVggBlocks = {
    {{1, 1, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}}};

bool take_vgg_features(ChainWalker& walk, bool batch_norm) {
  std::size_t index = 0;
  std::array<int, 5> convolutions{};
  for (int& count : convolutions) {
    while (walk.peek() != nullptr && walk.peek()->kind == NodeKind::kConv2D) {
      if (!take_vgg_convolution(walk, index, batch_norm)) return false;
      ++count;
    }
    walk.begin_layer(feature(index++), "MaxPool2d");
    if (!is_square(walk.take(NodeKind::kMaxPool2D), 2)) return false;
  }
  take_average_pool(walk);
  return std::find(kVggBlocks.begin(), kVggBlocks.end(), convolutions) != kVggBlocks.end();
}

bool assign_vgg_layers(Graph& graph, bool batch_norm) {
  ChainWalker walk(graph);
  return take_vgg_features(walk, batch_norm) &&
         take_classifier(walk,
                         {"Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"}) &&
         walk.commit(graph);
}

// Convolution, then the batch norm and the activation that the source keeps apart from it.
bool take_normalised(ChainWalker& walk, NodeKind kind, std::uint32_t window, bool activation) {
  if (!is_square(walk.take(kind), window)) return false;
  walk.take(NodeKind::kAffine);
  if (activation) walk.take(NodeKind::kClamp);
  return true;
}

// Expansion (absent in the first block), depthwise, projection, and the sum with the block's input.
bool take_inverted_residual(ChainWalker& walk, bool first) {
  const ValueId block_input = walk.current();
  const bool expands = walk.peek() != nullptr && walk.peek()->kind == NodeKind::kConv2D;
  if (!expands && !first) return false;
  if (expands && !take_normalised(walk, NodeKind::kConv2D, 1, true)) return false;
  if (!take_normalised(walk, NodeKind::kDepthwiseConv2D, 3, true)) return false;
  if (!take_normalised(walk, NodeKind::kConv2D, 1, false)) return false;
  walk.take_add(block_input);
  return true;
}

bool take_mobilenet_v2_features(ChainWalker& walk) {
  constexpr std::size_t kBlocks = 17;
  walk.begin_layer(feature(0), "Conv2dNormActivation");
  walk.take(NodeKind::kAffine);  // scaling of the picture, when the source has it inside
  if (!take_normalised(walk, NodeKind::kConv2D, 3, true)) return false;
  for (std::size_t block = 1; block <= kBlocks; ++block) {
    walk.begin_layer(feature(block), "InvertedResidual");
    if (!take_inverted_residual(walk, block == 1)) return false;
  }
  walk.begin_layer(feature(kBlocks + 1), "Conv2dNormActivation");
  return take_normalised(walk, NodeKind::kConv2D, 1, true);
}

bool take_anything_after_pool(ChainWalker& walk) {
  if (!take_linear(walk)) return false;
  bool taken = true;
  while (taken) {
    taken = walk.take(NodeKind::kClamp) != nullptr || walk.take(NodeKind::kSoftmax) != nullptr ||
            walk.take(NodeKind::kSigmoid) != nullptr || take_linear(walk);
  }
  return true;
}

}  // namespace

bool assign_alexnet_layers(Graph& graph) {
  ChainWalker walk(graph);
  std::size_t index = 0;
  const auto convolution = [&](std::uint32_t window) {
    walk.begin_layer(feature(index++), "Conv2d");
    if (!is_square(walk.take(NodeKind::kConv2D), window)) return false;
    walk.begin_layer(feature(index++), "ReLU");
    return walk.take(NodeKind::kClamp) != nullptr;
  };
  const auto pool = [&] {
    walk.begin_layer(feature(index++), "MaxPool2d");
    return is_square(walk.take(NodeKind::kMaxPool2D), 3);
  };
  if (!convolution(11) || !pool() || !convolution(5) || !pool()) return false;
  if (!convolution(3) || !convolution(3) || !convolution(3) || !pool()) return false;
  walk.begin_layer("avgpool", "AdaptiveAvgPool2d");
  take_average_pool(walk);
  return take_classifier(walk,
                         {"Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"}) &&
         walk.commit(graph);
}

bool assign_vgg_layers(Graph& graph) {
  return assign_vgg_layers(graph, false) || assign_vgg_layers(graph, true);
}

bool assign_mobilenet_v2_layers(Graph& graph) {
  ChainWalker walk(graph);
  if (!take_mobilenet_v2_features(walk)) return false;
  walk.begin_layer("avgpool", "AdaptiveAvgPool2d");
  if (!take_average_pool(walk)) return false;
  // Dropout is torchvision's classifier.0; here it goes with the pool, as the cut is the same.
  walk.begin_layer("classifier", "Linear");
  return take_anything_after_pool(walk) && walk.commit(graph);
}

}  // namespace cleave::importer
