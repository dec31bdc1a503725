// SPDX-License-Identifier: Apache-2.0
//
// A scalar interpreter of the importer's Graph: one plain loop nest per node kind, sums in double.
// It is the yardstick for every pass over a Graph (the scores before and after must agree) and for
// the readers (a small source file must compute what its format says).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/importer/graph.h"

namespace cleave::test {

// The data of every value, by ValueId, height x width x channels; empty where nothing was written.
// REQUIRES: validate(graph) is ok; input has the elements of the graph's input.
std::vector<std::vector<float>> interpret_all(const importer::Graph& graph,
                                              std::span<const float> input);

// Only the graph's output.
std::vector<float> interpret(const importer::Graph& graph, std::span<const float> input);

// Multiply-adds of one pass: convolutions and fully connected layers, as the literature counts.
std::uint64_t multiply_adds(const importer::Graph& graph);

// Weights in kernels and biases. Before fusion an affine node counts as a batch norm's two learned
// vectors, which makes this the parameter count that torchvision gives.
std::uint64_t parameter_count(const importer::Graph& graph);

// `count` reproducible values in [-1, 1).
std::vector<float> seeded_values(std::size_t count, std::uint64_t seed);

// Largest absolute difference, divided by the largest absolute value of `expected` (or 1).
// Infinity when the sizes differ or a value is not a number.
double relative_error(std::span<const float> expected, std::span<const float> actual);

}  // namespace cleave::test
