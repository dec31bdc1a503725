// SPDX-License-Identifier: Apache-2.0
//
// Recognises the networks whose layers the literature numbers by torchvision's modules. A network
// is known by the order and windows of its nodes, never by names or channel numbers, so that an
// export from any framework and any width is found; what an export drops (dropout, an average pool
// that changes nothing) is still listed as a layer.
#pragma once

#include "engine/importer/graph.h"

namespace cleave::importer {

// Each fills graph.layers and every node's layers, or changes nothing and returns false.
// REQUIRES: validate(graph) is ok.
//
// AlexNet: 21 layers, features.0..12, avgpool, classifier.0..6.
bool assign_alexnet_layers(Graph& graph);
// VGG-11/13/16/19: 28/32/38/44 layers, features.*, classifier.0..6; the average pool belongs to the
// last of features. With batch norms apart from the convolutions (_bn) one more per convolution.
bool assign_vgg_layers(Graph& graph);
// MobileNetV2: 21 layers, features.0..18 (stem, 17 blocks, last convolution), avgpool with dropout,
// classifier with all that follows.
bool assign_mobilenet_v2_layers(Graph& graph);

}  // namespace cleave::importer
