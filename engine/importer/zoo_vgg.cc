// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "engine/importer/zoo.h"
#include "engine/importer/zoo_builder.h"

namespace cleave::importer {
namespace {

constexpr std::uint32_t kVggPooledSide = 7;

// Convolutions in each of the five blocks (columns A, B, D and E of the paper's table 1).
using BlockDepths = std::array<int, 5>;

BlockDepths block_depths(const std::string& name) {
  if (name.starts_with("vgg11")) return {1, 1, 2, 2, 2};
  if (name.starts_with("vgg13")) return {2, 2, 2, 2, 2};
  if (name.starts_with("vgg16")) return {2, 2, 3, 3, 3};
  return {2, 2, 4, 4, 4};
}

void add_features(ZooBuilder& net, const BlockDepths& depths, bool batch_norm) {
  constexpr std::array<std::uint32_t, 5> kChannels = {64, 128, 256, 512, 512};
  int index = 0;
  const auto layer = [&](const char* kind) {
    net.begin_layer("features." + std::to_string(index++), kind);
  };
  for (std::size_t block = 0; block < depths.size(); ++block) {
    for (int i = 0; i < depths[block]; ++i) {
      layer("Conv2d");
      net.conv2d(kChannels[block], {3, 1, 1}, /*with_bias=*/true);
      if (batch_norm) {
        layer("BatchNorm2d");
        net.batch_norm();
      }
      layer("ReLU");
      net.relu();
    }
    layer("MaxPool2d");
    net.max_pool(2, 2);
  }
}

void add_vgg_classifier(ZooBuilder& net, std::uint32_t classes) {
  for (const int module : {0, 3}) {
    net.begin_layer("classifier." + std::to_string(module), "Linear");
    net.fully_connected(4096);
    net.begin_layer("classifier." + std::to_string(module + 1), "ReLU");
    net.relu();
    net.begin_layer("classifier." + std::to_string(module + 2), "Dropout");
    net.dropout();
  }
  net.begin_layer("classifier.6", "Linear");
  net.fully_connected(classes);
}

}  // namespace

Result<Graph> make_vgg(const std::string& name, const ZooOptions& options) {
  ZooBuilder net(name, options);
  add_features(net, block_depths(name), name.ends_with("_bn"));
  if (net.shape().height % kVggPooledSide != 0) {
    return Status{StatusCode::kInvalidArgument,
                  "--input " + std::to_string(options.input) +
                      " gives VGG features that do not pool to 7 x 7; use 224 or a multiple of it"};
  }
  // torchvision's average pool is no layer of its own in the literature's count.
  net.average_pool_to(kVggPooledSide);
  add_vgg_classifier(net, options.classes);
  return net.finish();
}

}  // namespace cleave::importer
