// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>

#include "engine/importer/zoo.h"
#include "engine/importer/zoo_builder.h"

namespace cleave::importer {
namespace {

// Table 2 of the paper: expansion, output channels, repeats, stride of the first.
struct Stage {
  std::uint32_t expansion, channels, repeats, stride;
};

constexpr std::array<Stage, 7> kStages = {{{1, 16, 1, 1},
                                           {6, 24, 2, 2},
                                           {6, 32, 3, 2},
                                           {6, 64, 4, 2},
                                           {6, 96, 3, 1},
                                           {6, 160, 3, 2},
                                           {6, 320, 1, 1}}};

void add_convolution(ZooBuilder& net, std::uint32_t channels, ConvolutionShape shape) {
  net.conv2d(channels, shape, /*with_bias=*/false);
  net.batch_norm();
  net.relu6();
}

void add_block(ZooBuilder& net, std::uint32_t expansion, std::uint32_t channels,
               std::uint32_t stride) {
  const ValueId block_input = net.current();
  const std::uint32_t input_channels = net.shape().channels;
  if (expansion != 1) add_convolution(net, input_channels * expansion, {1, 1, 0});
  net.depthwise({3, stride, 1});
  net.batch_norm();
  net.relu6();
  net.conv2d(channels, {1, 1, 0}, /*with_bias=*/false);
  net.batch_norm();
  if (stride == 1 && channels == input_channels) net.add(block_input);
}

}  // namespace

Result<Graph> make_mobilenet_v2(const ZooOptions& options) {
  ZooBuilder net("mobilenet_v2", options);
  int index = 0;
  const auto layer = [&](const char* kind) {
    net.begin_layer("features." + std::to_string(index++), kind);
  };
  layer("Conv2dNormActivation");
  add_convolution(net, scaled_channels(32, options.width), {3, 2, 1});
  for (const Stage& stage : kStages) {
    for (std::uint32_t i = 0; i < stage.repeats; ++i) {
      layer("InvertedResidual");
      add_block(net, stage.expansion, scaled_channels(stage.channels, options.width),
                i == 0 ? stage.stride : 1);
    }
  }
  layer("Conv2dNormActivation");
  // The last convolution does not shrink below width 1.
  add_convolution(net, scaled_channels(1280, std::max(1.0, options.width)), {1, 1, 0});
  net.begin_layer("avgpool", "AdaptiveAvgPool2d");
  net.global_average_pool();
  net.dropout();
  net.begin_layer("classifier", "Linear");
  net.fully_connected(options.classes);
  return net.finish();
}

}  // namespace cleave::importer
