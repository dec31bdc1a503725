// SPDX-License-Identifier: Apache-2.0
//
// A Graph through the whole path of a product: fused, lowered, written as a model file, opened and
// checked, run by the engine.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "engine/importer/graph.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::test {

// compile, build_model_file, ModelFile::from_bytes.
Result<std::shared_ptr<const ModelFile>> compile_graph(importer::Graph graph);

// Tensors of a run by name, [batch][height][width][channels].
using NamedTensors = std::map<std::string, std::vector<float>>;

// Runs ops [first, last) of variant 0 on `inputs` (by tensor name, one for each boundary tensor);
// the boundary tensors after it.
Result<NamedTensors> run_ops(const std::shared_ptr<const ModelFile>& model, OpRange range,
                             const NamedTensors& inputs, std::uint32_t batch);

// Runs one op after the other, each from the boundary tensors that the cut before it gave: every
// tensor of the network that is ever a boundary tensor.
Result<NamedTensors> run_every_cut(const std::shared_ptr<const ModelFile>& model,
                                   std::span<const float> input, std::uint32_t batch);

struct EverySplit {
  std::size_t cuts = 0;          // op boundaries, the first and the last included
  std::vector<OpIndex> unequal;  // where head and tail do not give the bytes of the whole run
};

// At every cut, the head's boundary tensors must be the bytes that run_every_cut gives, and the
// tail's scores those of the unsplit run.
Result<EverySplit> compare_every_split(const std::shared_ptr<const ModelFile>& model,
                                       std::span<const float> input, std::uint32_t batch);

const fbs::Variant& first_variant(const ModelFile& model);
std::string input_name(const ModelFile& model);
std::string output_name(const ModelFile& model);
fbs::Shape shape_of(const ModelFile& model, const std::string& tensor);

// Between our order and ONNX's, for `batch` pictures.
std::vector<float> nchw_to_nhwc(std::span<const float> data, const fbs::Shape& shape,
                                std::uint32_t batch);
std::vector<float> nhwc_to_nchw(std::span<const float> data, const fbs::Shape& shape,
                                std::uint32_t batch);

}  // namespace cleave::test
