// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "engine/importer/zoo.h"
#include "engine/importer/zoo_builder.h"

namespace cleave::importer {
namespace {

struct Separable {
  std::uint32_t channels, stride;
};

// Table 1 of the paper, after the first convolution.
constexpr std::array<Separable, 13> kSeparables = {{{64, 1},
                                                    {128, 2},
                                                    {128, 1},
                                                    {256, 2},
                                                    {256, 1},
                                                    {512, 2},
                                                    {512, 1},
                                                    {512, 1},
                                                    {512, 1},
                                                    {512, 1},
                                                    {512, 1},
                                                    {1024, 2},
                                                    {1024, 1}}};

void normalise(ZooBuilder& net) {
  net.batch_norm();
  net.relu6();
}

}  // namespace

Result<Graph> make_mobilenet_v1(const ZooOptions& options) {
  ZooBuilder net("mobilenet_v1", options);
  net.begin_layer("conv1", "Conv2d");
  net.conv2d(scaled_channels(32, options.width), {3, 2, 1}, /*with_bias=*/false);
  normalise(net);
  int number = 2;
  for (const Separable& s : kSeparables) {
    net.begin_layer("conv" + std::to_string(number) + "_dw", "DepthwiseConv2d");
    net.depthwise({3, s.stride, 1});
    normalise(net);
    net.begin_layer("conv" + std::to_string(number++) + "_pw", "Conv2d");
    net.conv2d(scaled_channels(s.channels, options.width), {1, 1, 0}, /*with_bias=*/false);
    normalise(net);
  }
  // The paper counts only layers with weights: the pool goes with the classifier.
  net.begin_layer("fc", "Linear");
  net.global_average_pool();
  net.fully_connected(options.classes);
  return net.finish();
}

}  // namespace cleave::importer
