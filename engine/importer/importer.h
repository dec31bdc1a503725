// SPDX-License-Identifier: Apache-2.0
//
// The importer's steps, each in a file of its own name. Host only; used by cleave-import and tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::importer {

// --- readers (onnx_reader.cc, tflite_reader.cc, tfjs_reader.cc)
// Each turns a source file into a Graph of source nodes, batch norms and activations still apart
// unless the source itself fuses them. A fused activation of the source is a node of its own.
// Errors: kCorrupt, or kUnsupported listing every node that cannot be imported, by name and type.
Result<Graph> read_onnx(std::span<const std::byte> file);
Result<Graph> read_tflite(std::span<const std::byte> file);
// `path` is the model.json; its weight shards are read beside it.
Result<Graph> read_tfjs(const std::string& path);
// source_detect.cc: decides by content (FlatBuffer identifier TFL3, JSON object, else protobuf) and
// calls one above; a folder means the model.json in it. Errors also: kNotFound, kIo,
// kResourceExhausted (over 4 GiB), kUnsupported (a format that has to be converted first: says
// how).
Result<Graph> read_source(const std::string& path);

// --- zoo.cc
struct ZooOptions {
  std::uint32_t input = 224;
  double width = 1.0;  // MobileNet's alpha
  std::uint32_t classes = 1000;
  std::uint64_t seed = 1;
};
// alexnet, vgg11/13/16/19 (and _bn), mobilenet_v1, mobilenet_v2 with seeded He-normal weights and
// the literature's layers. The same options give the same bits everywhere.
Result<Graph> make_zoo_model(const std::string& name, const ZooOptions& options);
std::vector<std::string> zoo_names();

// --- layers.cc
// Gives every source node its layer: AlexNet, VGG and MobileNetV2 are recognised and numbered as
// torchvision numbers them (known_networks.h); any other network has one layer per computing node,
// markers going with the layer before. Keeps layers that are already there (zoo).
// REQUIRES: validate(graph) is ok.
void assign_layers(Graph& graph);

// --- fuse.cc
// Folds affine nodes and biases into the convolution or fully connected node before them,
// selections of channels into one next to them (onto one behind only when that is no more to
// compute), pads into convolutions (zero pads only), and clamps into any op that can clamp; drops
// what computes nothing (markers, pools of one pixel). A value that two nodes read stays. The
// layers of what is merged are kept on the node that stays. Numbers change by rounding only where
// an affine node is folded. REQUIRES: validate(graph) is ok.
void fuse(Graph& graph);

// --- lower.cc
// What is left becomes ops of schemas/model.fbs: affine -> 1 x 1 depthwise convolution, a selection
// of channels -> 1 x 1 convolution of ones and zeros; nodes that do not reach the output vanish.
// After it, node i is op i, and values are the input and then each op's output. REQUIRES: fused.
// Errors: kUnsupported (nothing is computed), as validate().
Status lower(Graph& graph);

// --- compile.cc
// All of the above in their order, the source graph being checked first. Errors: as validate() and
// lower().
Status compile(Graph& graph);

// --- model_writer.cc, model_file_write.cc
// A picture at model size with the scores that the model gives it.
struct SelfTestPicture {
  std::vector<std::uint8_t> pixels;  // height x width x channels in the model's color order
  std::vector<float> scores;
  float tolerance = 0.001f;
};
// The same network in one precision. kF16 stores the kernels of an f32 graph as f16, but for those
// with values that f16 has not; kInt8 is for what quantize() made.
enum class Precision : std::uint8_t { kF32, kF16, kInt8 };
struct VariantGraph {
  std::string name;
  Precision precision = Precision::kF32;
  const Graph* graph = nullptr;
};
// The bytes of the model file; the same arguments give the same bytes. What is not of a variant
// (name, layers, preprocessing, labels) is the first graph's, and so is the self-test.
// REQUIRES: at least one variant; graphs lowered, or quantized.
// Errors: kInvalidArgument (labels or preprocessing do not fit the network), kCorrupt or
// kUnsupported (what no reader would accept, named).
Result<std::vector<std::byte>> build_model_file(
    std::span<const VariantGraph> variants,
    const std::optional<SelfTestPicture>& self_test = std::nullopt);
// With the one variant "f32".
Result<std::vector<std::byte>> build_model_file(
    const Graph& graph, const std::optional<SelfTestPicture>& self_test = std::nullopt);
// Writes atomically (temporary file, fsync, commit mark, fsync, rename). Errors: kIo, kNotFound (no
// such folder); nothing is left behind then, and a file that was there stays as it was.
Status write_model_file(std::span<const std::byte> bytes, const std::string& path);

}  // namespace cleave::importer
