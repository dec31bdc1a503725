// SPDX-License-Identifier: Apache-2.0
//
// Writes an importer Graph as an ONNX model (opset 14), so that ONNX Runtime can run the zoo's
// networks and the tests' own.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "engine/importer/graph.h"

namespace cleave::test {

// Images are N,C,H,W with batch 1; what a fully connected node gives is N,C. Values keep their
// names. REQUIRES: validate(graph) is ok, no two values have one name (name_apart).
onnx::ModelProto to_onnx(const importer::Graph& graph);

// Gives values that share a name, or have none, names of their own.
void name_apart(importer::Graph& graph);

std::vector<std::byte> to_bytes(const onnx::ModelProto& model);

// --- building models by hand
void set_int(onnx::NodeProto& node, const std::string& name, std::int64_t value);
void set_float(onnx::NodeProto& node, const std::string& name, float value);
void set_text(onnx::NodeProto& node, const std::string& name, const std::string& value);
void set_ints(onnx::NodeProto& node, const std::string& name,
              const std::vector<std::int64_t>& values);
void add_initializer(onnx::GraphProto& graph, const std::string& name,
                     const std::vector<std::int64_t>& dims, const std::vector<float>& values);
void add_int_initializer(onnx::GraphProto& graph, const std::string& name,
                         const std::vector<std::int64_t>& values);
void add_input(onnx::GraphProto& graph, const std::string& name,
               const std::vector<std::int64_t>& dims);
// An output whose type ONNX Runtime infers.
void add_output(onnx::GraphProto& graph, const std::string& name);

// An empty model of this opset.
onnx::ModelProto empty_model(int opset);

}  // namespace cleave::test
