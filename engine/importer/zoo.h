// SPDX-License-Identifier: Apache-2.0
//
// One function per family of networks; make_zoo_model (importer.h) checks the options and calls
// them.
#pragma once

#include <cstdint>
#include <string>

#include "engine/importer/graph.h"
#include "engine/importer/importer.h"

namespace cleave::importer {

// Krizhevsky, "One weird trick", 2014, as torchvision has it: no LRN, no groups.
Result<Graph> make_alexnet(const ZooOptions& options);
// Simonyan and Zisserman, 2014; `name` is vgg11, vgg13, vgg16 or vgg19, or one of them with _bn.
Result<Graph> make_vgg(const std::string& name, const ZooOptions& options);
// Howard et al., 2017: 28 layers, depthwise and pointwise counted apart.
Result<Graph> make_mobilenet_v1(const ZooOptions& options);
// Sandler et al., 2018, as torchvision has it.
Result<Graph> make_mobilenet_v2(const ZooOptions& options);

// `channels` scaled by `width`, to the nearest multiple of 8, but never below 90 % of the product
// (the rule of the MobileNet papers' own code).
std::uint32_t scaled_channels(std::uint32_t channels, double width);

}  // namespace cleave::importer
