// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "engine/importer/zoo.h"
#include "engine/importer/zoo_builder.h"

namespace cleave::importer {
namespace {

constexpr std::uint32_t kAlexnetPooledSide = 6;

void add_convolution(ZooBuilder& net, int& index, std::uint32_t channels, ConvolutionShape shape) {
  net.begin_layer("features." + std::to_string(index++), "Conv2d");
  net.conv2d(channels, shape, /*with_bias=*/true);
  net.begin_layer("features." + std::to_string(index++), "ReLU");
  net.relu();
}

void add_pool(ZooBuilder& net, int& index) {
  net.begin_layer("features." + std::to_string(index++), "MaxPool2d");
  net.max_pool(3, 2);
}

void add_features(ZooBuilder& net) {
  int index = 0;
  add_convolution(net, index, 64, {11, 4, 2});
  add_pool(net, index);
  add_convolution(net, index, 192, {5, 1, 2});
  add_pool(net, index);
  add_convolution(net, index, 384, {3, 1, 1});
  add_convolution(net, index, 256, {3, 1, 1});
  add_convolution(net, index, 256, {3, 1, 1});
  add_pool(net, index);
}

void add_alexnet_classifier(ZooBuilder& net, std::uint32_t classes) {
  for (const int module : {0, 3}) {
    net.begin_layer("classifier." + std::to_string(module), "Dropout");
    net.dropout();
    net.begin_layer("classifier." + std::to_string(module + 1), "Linear");
    net.fully_connected(4096);
    net.begin_layer("classifier." + std::to_string(module + 2), "ReLU");
    net.relu();
  }
  net.begin_layer("classifier.6", "Linear");
  net.fully_connected(classes);
}

}  // namespace

Result<Graph> make_alexnet(const ZooOptions& options) {
  ZooBuilder net("alexnet", options);
  add_features(net);
  if (net.shape().height % kAlexnetPooledSide != 0) {
    return Status{StatusCode::kInvalidArgument,
                  "--input " + std::to_string(options.input) +
                      " gives AlexNet features that do not pool to 6 x 6; use 224"};
  }
  net.begin_layer("avgpool", "AdaptiveAvgPool2d");
  net.average_pool_to(kAlexnetPooledSide);
  add_alexnet_classifier(net, options.classes);
  return net.finish();
}

}  // namespace cleave::importer
