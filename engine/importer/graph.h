// SPDX-License-Identifier: Apache-2.0
//
// The importer's own picture of a network, between the readers (ONNX, TFLite, TF.js, zoo) and the
// model file. Tensors are always height x width x channels with the batch left out, whatever the
// source calls its axes: layout is resolved by the reader (importer/layout_view.h), so that no
// later step knows of NCHW.
//
//   reader -> Graph (source nodes) -> assign_layers -> fuse -> lower -> model_writer
//
// Ownership: a Graph owns everything in it. Weights are f32, already in the layouts of
// schemas/model.fbs; only quantize() makes graphs with int8 in them. Host only.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::importer {

using ValueId = std::uint32_t;
inline constexpr ValueId kNoValue = std::numeric_limits<ValueId>::max();

struct Hwc {
  std::uint32_t height = 1, width = 1, channels = 1;
  friend bool operator==(const Hwc&, const Hwc&) = default;
};

// real = scale * (q - zero_point), per tensor (one entry) or per channel along `axis` of the kernel
// as model.fbs lays it out. Empty: not quantized.
struct QuantizationParameters {
  enum class Type : std::uint8_t { kS8, kU8, kS32 } type = Type::kS8;
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  int axis = -1;
  [[nodiscard]] bool empty() const { return scale.empty(); }
};

struct Value {
  std::string name;
  Hwc shape;
  QuantizationParameters quantization;
  bool held_as_int8 = false;  // by the engine, as `quantization` says; else f32
};

enum class NodeKind : std::uint8_t {
  kConv2D,           // groups included; kernel OHWI (I = input channels / groups)
  kDepthwiseConv2D,  // kernel HWO, O = input channels * multiplier
  kFullyConnected,   // kernel [output][height*width*channels of the input]
  kMaxPool2D,
  kAveragePool2D,  // padding is never counted; readers express count_include_pad by kPad first
  kGlobalAveragePool,
  kClamp,  // Relu, Relu6, Clip: [clamp_min, clamp_max]
  kLeakyRelu,
  kHardSwish,
  kSigmoid,
  kAdd,
  kMultiply,
  kConcat,          // channels
  kSelectChannels,  // output channel c is input channel channels[c]: shuffles and splits
  kPad,
  kLrn,
  kSoftmax,  // channels
  kAffine,   // y = x * kernel[c] + bias[c]: batch norm, constant scale or shift
  kMarker,   // computes nothing (Dropout, Flatten, Identity ...): output is the input renamed
  kConvert,  // f32 to int8, int8 to f32, int8 to int8 of another scale; made by quantize()
};

const char* node_kind_name(NodeKind kind);

struct Window2D {
  std::uint32_t height = 1, width = 1;
  std::uint32_t stride_height = 1, stride_width = 1;
  std::uint32_t dilation_height = 1, dilation_width = 1;
};

struct Padding2D {
  std::uint32_t top = 0, right = 0, bottom = 0, left = 0;
  [[nodiscard]] bool any() const { return (top | right | bottom | left) != 0; }
};

struct Node {
  NodeKind kind = NodeKind::kMarker;
  std::string name;         // the source's name, or a made one; unique not required
  std::string source_type;  // "Conv", "CONV_2D", "Conv2D" ... as the source says
  std::vector<ValueId> inputs;
  ValueId output = kNoValue;

  Window2D window;
  Padding2D padding;
  std::uint32_t groups = 1;
  std::uint32_t multiplier = 1;
  // Output clamp: the whole op for kClamp, a fused activation for any other kind.
  float clamp_min = -std::numeric_limits<float>::infinity();
  float clamp_max = std::numeric_limits<float>::infinity();
  float alpha = 0;             // kLeakyRelu slope, kLrn alpha
  float beta = 0, bias_k = 0;  // kLrn beta and bias
  std::uint32_t size = 0;      // kLrn window
  float pad_value = 0;
  std::vector<std::uint32_t> channels;  // kSelectChannels

  std::vector<float> kernel;
  std::vector<float> bias;  // empty: none
  QuantizationParameters kernel_quantization;
  QuantizationParameters bias_quantization;
  // Made by quantize(), instead of the two above: the kernel as `kernel_quantization` says, and the
  // bias of a node on int8 values in units of input scale * kernel scale.
  std::vector<std::int8_t> int8_kernel;
  std::vector<std::int32_t> int32_bias;

  // Set by assign_layers; after fusion the layers of every node that was merged in, ascending.
  std::vector<std::uint32_t> layers;

  [[nodiscard]] bool has_weights() const { return !kernel.empty() || !int8_kernel.empty(); }
  [[nodiscard]] bool has_clamp() const {
    return clamp_min != -std::numeric_limits<float>::infinity() ||
           clamp_max != std::numeric_limits<float>::infinity();
  }
};

struct GraphLayer {
  std::string name;
  std::string kind;
};

struct GraphPreprocessing {
  enum class ColorOrder : std::uint8_t { kRgb, kBgr, kGray } color_order = ColorOrder::kRgb;
  enum class Crop : std::uint8_t { kNone, kCenterSquare } crop = Crop::kNone;
  std::uint32_t crop_ppm = 1'000'000;
  std::vector<float> mean;       // u8 units, one per channel; empty: not said by the source
  std::vector<float> deviation;  // u8 units
};

struct Graph {
  std::string name;
  std::string source_format;  // "onnx", "tflite", "tfjs", "zoo"
  std::string licence;
  std::vector<Value> values;
  std::vector<Node> nodes;  // in an order in which inputs come before their use
  ValueId input = kNoValue;
  ValueId output = kNoValue;
  std::vector<GraphLayer> layers;  // filled by assign_layers, or by the zoo
  GraphPreprocessing preprocessing;
  std::vector<std::string> labels;

  ValueId add_value(std::string value_name, Hwc shape);
};

// Output shape of `node` from its inputs' shapes, or why there is none. Readers use it so that
// shape rules stand in one place. REQUIRES: node.inputs are values of graph.
[[nodiscard]] Result<Hwc> infer_shape(const Graph& graph, const Node& node);

// True when the graph is well formed: inputs before use, one writer per value, shapes as inferred,
// kernel and bias sizes right.
[[nodiscard]] Status validate(const Graph& graph);

}  // namespace cleave::importer
