// SPDX-License-Identifier: Apache-2.0
//
// Networks of the well-known families as exporters write them, batch norms apart: all kinds of
// their blocks, narrow, few and with seeded weights. Heights and widths differ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"

namespace cleave::test {

struct FamilyNetwork {
  std::string name;
  onnx::ModelProto model;
};

// The original AlexNet: convolutions in two groups, LRN.
onnx::ModelProto make_grouped_alexnet();
// VGG with batch norm.
onnx::ModelProto make_vgg_bn();
// ResNet of two-convolution blocks; the second stage begins with a projection.
onnx::ModelProto make_resnet_basic();
// ResNet of bottleneck blocks, their 3 x 3 convolutions in `groups` (ResNeXt above 1).
onnx::ModelProto make_resnet_bottleneck(std::int64_t groups);
// DenseNet: batch norm and ReLU before every convolution, growth by Concat, transitions.
onnx::ModelProto make_densenet();
// Inception V3's blocks: branches of 1x1, 5x5, 1x7 and 7x1, 1x3 beside 3x1, pools as branches.
onnx::ModelProto make_inception();
// ShuffleNet V1: grouped pointwise convolutions, channels shuffled between `groups`.
onnx::ModelProto make_shufflenet_v1(std::int64_t groups);
// ShuffleNet V2: channels split in halves, joined and shuffled.
onnx::ModelProto make_shufflenet_v2();

std::vector<FamilyNetwork> family_networks();

}  // namespace cleave::test
