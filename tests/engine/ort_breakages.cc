// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/ort_breakages.h"

#include <algorithm>
#include <utility>

#include "tests/support/graph_builder.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Node;
using importer::NodeKind;
using importer::ValueId;

Node make(NodeKind kind, ValueId from) {
  Node node;
  node.kind = kind;
  node.inputs = {from};
  return node;
}

Breakage change_padding() {
  return {"padding moved", [](Graph&, Node& n) {
            std::swap(n.padding.top, n.padding.bottom);
            std::swap(n.padding.left, n.padding.right);
          }};
}

// Height 6 under a window of 3 has two positions at stride 2 and at stride 3.
Breakage change_stride() {
  return {"stride", [](Graph&, Node& n) { n.window.stride_height = 3; }};
}

Breakage drop_bias() {
  return {"bias dropped", [](Graph&, Node& n) { n.bias.clear(); }};
}

Breakage become(NodeKind kind) {
  return {std::string("computes ") + importer::node_kind_name(kind),
          [kind](Graph&, Node& n) { n.kind = kind; }};
}

BreakableNetwork convolution() {
  GraphBuilder b({6, 7, 4});
  Node conv = make(NodeKind::kConv2D, b.input());
  conv.window = {3, 2, 2, 1, 1, 2};
  conv.padding = {0, 1, 0, 0};
  conv.groups = 2;
  conv.kernel = b.weights(6 * 3 * 2 * 2);
  conv.bias = b.weights(6);
  const ValueId out = b.relu(b.add(std::move(conv)));
  return {NodeKind::kConv2D,
          "grouped convolution",
          b.finish(out),
          {change_padding(),
           change_stride(),
           drop_bias(),
           {"dilation",
            [](Graph&, Node& n) {
              n.window.dilation_width = 1;
              n.padding.right = 0;  // the same number of positions
            }},
           {"groups exchanged",
            [](Graph&, Node& n) {
              std::rotate(n.kernel.begin(), n.kernel.begin() + 36, n.kernel.end());
            }},
           {"kernel's input channels reversed",
            [](Graph&, Node& n) {
              for (std::size_t i = 0; i + 1 < n.kernel.size(); i += 2) {
                std::swap(n.kernel[i], n.kernel[i + 1]);
              }
            }},
           {"fused clamp", [](Graph& g, Node&) { g.nodes[1].clamp_max = 0.1f; }}}};
}

BreakableNetwork depthwise() {
  GraphBuilder b({6, 6, 3});
  Node conv = make(NodeKind::kDepthwiseConv2D, b.input());
  conv.window = {3, 3, 2, 2, 1, 1};
  conv.padding = {0, 1, 0, 0};
  conv.multiplier = 2;
  conv.kernel = b.weights(3 * 3 * 6);
  conv.bias = b.weights(6);
  const ValueId out = b.add(std::move(conv));
  return {NodeKind::kDepthwiseConv2D,
          "depthwise convolution",
          b.finish(out),
          {change_padding(),
           change_stride(),
           drop_bias(),
           {"order of the multiplied channels", [](Graph&, Node& n) {
              for (std::size_t t = 0; t < 9; ++t)
                std::swap(n.kernel[t * 6 + 1], n.kernel[t * 6 + 2]);
            }}}};
}

BreakableNetwork fully_connected() {
  GraphBuilder b({2, 2, 3});
  const ValueId out = b.fully_connected(b.relu(b.input()), 5);
  return {NodeKind::kFullyConnected,
          "fully connected",
          b.finish(out),
          {{"inputs counted channel by channel", [](Graph&, Node& n) {
              const std::vector<float> hwc = n.kernel;
              for (std::size_t i = 0; i < hwc.size(); ++i) {
                const std::size_t row = i / 12, at = i % 12;
                n.kernel[row * 12 + at % 3 * 4 + at / 3] = hwc[i];
              }
            }}}};
}

BreakableNetwork pool(NodeKind kind, const char* name) {
  GraphBuilder b({6, 6, 3});
  Node node = make(kind, b.input());
  node.window = {3, 3, 2, 2, 1, 1};
  node.padding = {0, 2, 0, 0};
  const ValueId out = b.add(std::move(node));
  return {kind,
          name,
          b.finish(out),
          {change_padding(),
           change_stride(),
           {"window",
            [](Graph&, Node& n) {
              n.window.width = 2;
              n.padding.right = 1;  // the same number of positions
            }},
           become(kind == NodeKind::kMaxPool2D ? NodeKind::kAveragePool2D : NodeKind::kMaxPool2D)}};
}

BreakableNetwork global_average_pool() {
  GraphBuilder b({4, 5, 3});
  const ValueId out = b.node(NodeKind::kGlobalAveragePool, {b.input()});
  return {NodeKind::kGlobalAveragePool,
          "global average pool",
          b.finish(out),
          {{"computes MaxPool2D", [](Graph&, Node& n) {
              n.kind = NodeKind::kMaxPool2D;
              n.window = {4, 5, 1, 1, 1, 1};
            }}}};
}

BreakableNetwork clamp() {
  GraphBuilder b({3, 3, 4});
  const ValueId out = b.clamp(b.input(), -0.5f, 0.25f);
  return {NodeKind::kClamp,
          "clip",
          b.finish(out),
          {{"minimum", [](Graph&, Node& n) { n.clamp_min = -0.4f; }},
           {"maximum", [](Graph&, Node& n) { n.clamp_max = 0.3f; }}}};
}

BreakableNetwork leaky_relu() {
  GraphBuilder b({3, 3, 4});
  Node node = make(NodeKind::kLeakyRelu, b.input());
  node.alpha = 0.125f;
  const ValueId out = b.add(std::move(node));
  return {NodeKind::kLeakyRelu, "leaky ReLU", b.finish(out), {{"slope", [](Graph&, Node& n) {
                                                                 n.alpha = 0.13f;
                                                               }}}};
}

BreakableNetwork unary(NodeKind kind, const char* name, NodeKind other) {
  GraphBuilder b({3, 3, 4});
  const ValueId out = b.node(kind, {b.input()});
  return {kind, name, b.finish(out), {become(other)}};
}

BreakableNetwork binary(NodeKind kind, const char* name, NodeKind other) {
  GraphBuilder b({3, 3, 4});
  const ValueId full = b.conv2d(b.input(), 4, 1);
  const ValueId gate = b.node(NodeKind::kSigmoid, {b.node(NodeKind::kGlobalAveragePool, {full})});
  const ValueId out = b.node(kind, {full, gate});
  return {
      kind, name, b.finish(out), {become(other), {"reads another tensor", [](Graph& g, Node& n) {
                                                    n.inputs[0] = g.input;
                                                  }}}};
}

BreakableNetwork concat() {
  GraphBuilder b({3, 3, 4});
  const ValueId left = b.conv2d(b.input(), 4, 1), right = b.conv2d(b.input(), 4, 1);
  const ValueId out = b.node(NodeKind::kConcat, {left, b.input(), right});
  return {NodeKind::kConcat, "concat", b.finish(out), {{"order", [](Graph&, Node& n) {
                                                          std::swap(n.inputs[0], n.inputs[2]);
                                                        }}}};
}

BreakableNetwork pad() {
  GraphBuilder b({3, 3, 4});
  const ValueId out = b.pad(b.input(), {1, 2, 0, 0}, 0.5f);
  return {NodeKind::kPad, "pad", b.finish(out), {change_padding(), {"value", [](Graph&, Node& n) {
                                                                      n.pad_value = 0;
                                                                    }}}};
}

BreakableNetwork lrn() {
  GraphBuilder b({2, 2, 8});
  Node node = make(NodeKind::kLrn, b.input());
  node.size = 5;
  node.alpha = 0.5f;
  node.beta = 0.75f;
  node.bias_k = 1.5f;
  const ValueId out = b.add(std::move(node));
  return {NodeKind::kLrn,
          "LRN",
          b.finish(out),
          {{"size", [](Graph&, Node& n) { n.size = 3; }},
           {"even size", [](Graph&, Node& n) { n.size = 4; }},
           {"alpha", [](Graph&, Node& n) { n.alpha = 0.51f; }},
           {"beta", [](Graph&, Node& n) { n.beta = 0.76f; }},
           {"bias", [](Graph&, Node& n) { n.bias_k = 1.51f; }}}};
}

BreakableNetwork affine() {
  GraphBuilder b({3, 3, 4});
  const ValueId out = b.affine(b.relu(b.input()));
  return {NodeKind::kAffine,
          "batch norm",
          b.finish(out),
          {drop_bias(), {"factors of other channels", [](Graph&, Node& n) {
                           std::rotate(n.kernel.begin(), n.kernel.begin() + 1, n.kernel.end());
                         }}}};
}

BreakableNetwork folded_affine() {
  GraphBuilder b({3, 3, 4});
  const ValueId out = b.affine(b.conv2d(b.input(), 5, 3));
  BreakableNetwork network = affine();
  return {NodeKind::kAffine, "batch norm after a convolution", b.finish(out),
          std::move(network.breakages)};
}

// Behind a ReLU, so that it stays a node of its own; in front of a convolution it is folded.
BreakableNetwork select_channels(bool folded) {
  GraphBuilder b({3, 3, 6});
  Node node = make(NodeKind::kSelectChannels, b.relu(b.input()));
  node.channels = {4, 0, 5, 2};
  ValueId out = b.add(std::move(node));
  if (folded) out = b.conv2d(out, 3, 2);
  return {NodeKind::kSelectChannels,
          folded ? "channels selected before a convolution" : "channels selected",
          b.finish(out),
          {{"another channel", [](Graph&, Node& n) { n.channels[1] = 1; }},
           {"another order", [](Graph&, Node& n) { std::swap(n.channels[2], n.channels[3]); }}}};
}

BreakableNetwork marker() {
  GraphBuilder b({3, 3, 4});
  const ValueId same = b.marker(b.relu(b.input()), "Identity");
  const ValueId out = b.conv2d(same, 3, 1);
  return {NodeKind::kMarker,
          "identity",
          b.finish(out),
          {{"reads another tensor", [](Graph& g, Node& n) { n.inputs[0] = g.input; }}}};
}

}  // namespace

std::vector<BreakableNetwork> breakable_networks() {
  std::vector<BreakableNetwork> networks;
  networks.push_back(convolution());
  networks.push_back(depthwise());
  networks.push_back(fully_connected());
  networks.push_back(pool(NodeKind::kMaxPool2D, "max pool"));
  networks.push_back(pool(NodeKind::kAveragePool2D, "average pool"));
  networks.push_back(global_average_pool());
  networks.push_back(clamp());
  networks.push_back(leaky_relu());
  networks.push_back(unary(NodeKind::kHardSwish, "hard swish", NodeKind::kSigmoid));
  networks.push_back(unary(NodeKind::kSigmoid, "sigmoid", NodeKind::kSoftmax));
  networks.push_back(unary(NodeKind::kSoftmax, "softmax", NodeKind::kSigmoid));
  networks.push_back(binary(NodeKind::kAdd, "add", NodeKind::kMultiply));
  networks.push_back(binary(NodeKind::kMultiply, "multiply", NodeKind::kAdd));
  networks.push_back(concat());
  networks.push_back(select_channels(false));
  networks.push_back(select_channels(true));
  networks.push_back(pad());
  networks.push_back(lrn());
  networks.push_back(affine());
  networks.push_back(folded_affine());
  networks.push_back(marker());
  return networks;
}

}  // namespace cleave::test
