// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/model_header.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "schemas/generated/model_generated.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"
#include "schemas/text_check.h"

namespace cleave::importer {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// What source files call things may be any bytes; a model file holds plain text.
std::string name_text(const std::string& name, const std::string& fallback) {
  const std::string clean = clean_text(name, kMaxNameBytes);
  return clean.empty() ? fallback : clean;
}

constexpr std::size_t kMaxLabelBytes = 1024;

fbs::Window to_fbs(const Window2D& w) {
  return {w.height, w.width, w.stride_height, w.stride_width, w.dilation_height, w.dilation_width};
}

fbs::Padding to_fbs(const Padding2D& p) { return {p.top, p.right, p.bottom, p.left}; }

fbs::DType to_fbs(QuantizationParameters::Type type) {
  switch (type) {
    case QuantizationParameters::Type::kS8:
      return fbs::DType::S8;
    case QuantizationParameters::Type::kU8:
      return fbs::DType::U8;
    case QuantizationParameters::Type::kS32:
      return fbs::DType::S32;
  }
  return fbs::DType::S8;
}

Offset<fbs::Quantization> write_quantization(FlatBufferBuilder& b,
                                             const QuantizationParameters& q) {
  if (q.empty()) return 0;
  const auto scale = b.CreateVector(q.scale);
  const auto zero_point = b.CreateVector(q.zero_point);
  return fbs::CreateQuantization(b, to_fbs(q.type), scale, zero_point, q.axis);
}

struct Options {
  fbs::OpOptions type = fbs::OpOptions::NONE;
  Offset<void> table;
};

Options write_options(FlatBufferBuilder& b, const Node& n) {
  const fbs::Window window = to_fbs(n.window);
  const fbs::Padding padding = to_fbs(n.padding);
  switch (n.kind) {
    case NodeKind::kConv2D:
      return {fbs::OpOptions::Conv2D, fbs::CreateConv2D(b, &window, &padding, n.groups).Union()};
    case NodeKind::kDepthwiseConv2D:
      return {fbs::OpOptions::DepthwiseConv2D,
              fbs::CreateDepthwiseConv2D(b, &window, &padding, n.multiplier).Union()};
    case NodeKind::kFullyConnected:
      return {fbs::OpOptions::FullyConnected, fbs::CreateFullyConnected(b).Union()};
    case NodeKind::kMaxPool2D:
      return {fbs::OpOptions::MaxPool2D, fbs::CreateMaxPool2D(b, &window, &padding).Union()};
    case NodeKind::kAveragePool2D:
      return {fbs::OpOptions::AveragePool2D,
              fbs::CreateAveragePool2D(b, &window, &padding).Union()};
    case NodeKind::kGlobalAveragePool:
      return {fbs::OpOptions::GlobalAveragePool, fbs::CreateGlobalAveragePool(b).Union()};
    case NodeKind::kClamp:
      return {fbs::OpOptions::ClampOnly, fbs::CreateClampOnly(b).Union()};
    case NodeKind::kLeakyRelu:
      return {fbs::OpOptions::LeakyRelu, fbs::CreateLeakyRelu(b, n.alpha).Union()};
    case NodeKind::kHardSwish:
      return {fbs::OpOptions::HardSwish, fbs::CreateHardSwish(b).Union()};
    case NodeKind::kSigmoid:
      return {fbs::OpOptions::Sigmoid, fbs::CreateSigmoid(b).Union()};
    case NodeKind::kAdd:
      return {fbs::OpOptions::Add, fbs::CreateAdd(b).Union()};
    case NodeKind::kMultiply:
      return {fbs::OpOptions::Multiply, fbs::CreateMultiply(b).Union()};
    case NodeKind::kConcat:
      return {fbs::OpOptions::Concat, fbs::CreateConcat(b).Union()};
    case NodeKind::kPad:
      return {fbs::OpOptions::Pad, fbs::CreatePad(b, &padding, n.pad_value).Union()};
    case NodeKind::kLrn:
      return {fbs::OpOptions::Lrn, fbs::CreateLrn(b, n.size, n.alpha, n.beta, n.bias_k).Union()};
    case NodeKind::kSoftmax:
      return {fbs::OpOptions::Softmax, fbs::CreateSoftmax(b).Union()};
    case NodeKind::kConvert:
      return {fbs::OpOptions::Convert, fbs::CreateConvert(b).Union()};
    case NodeKind::kSelectChannels:
    case NodeKind::kAffine:
    case NodeKind::kMarker:
      break;  // lower() leaves none
  }
  return {};
}

Offset<fbs::WeightView> write_view(FlatBufferBuilder& b, std::uint64_t offset, std::uint64_t bytes,
                                   fbs::DType dtype, const QuantizationParameters& quantization) {
  if (bytes == 0) return 0;
  const auto q = write_quantization(b, quantization);
  return fbs::CreateWeightView(b, offset, bytes, dtype, q);
}

fbs::DType kernel_dtype(const Node& node, Precision precision) {
  if (!node.int8_kernel.empty()) return fbs::DType::S8;
  return stores_f16(node, precision) ? fbs::DType::F16 : fbs::DType::F32;
}

Offset<fbs::Op> write_op(FlatBufferBuilder& b, const Node& node, Precision precision,
                         std::size_t index, int segment) {
  const SegmentLayout layout = layout_segment(node, precision);
  const fbs::DType bias_dtype = node.int32_bias.empty() ? fbs::DType::F32 : fbs::DType::S32;
  const auto name = b.CreateString(name_text(node.name, "op" + std::to_string(index)));
  const Options options = write_options(b, node);
  const auto inputs = b.CreateVector(node.inputs);
  const auto kernel = write_view(b, 0, layout.kernel_bytes, kernel_dtype(node, precision),
                                 node.kernel_quantization);
  const auto bias =
      write_view(b, layout.bias_offset, layout.bias_bytes, bias_dtype, node.bias_quantization);
  const fbs::Clamp clamp(node.clamp_min, node.clamp_max);
  const bool clamped = node.has_clamp() || node.kind == NodeKind::kClamp;
  return fbs::CreateOp(b, name, options.type, options.table, inputs, node.output,
                       clamped ? &clamp : nullptr, segment, kernel, bias);
}

Offset<fbs::Tensor> write_tensor(FlatBufferBuilder& b, const Value& value, std::size_t index) {
  const auto name = b.CreateString(name_text(value.name, "tensor" + std::to_string(index)));
  const fbs::Shape shape(value.shape.height, value.shape.width, value.shape.channels);
  const auto quantization = write_quantization(b, value.quantization);
  const fbs::DType dtype = value.held_as_int8 ? fbs::DType::S8 : fbs::DType::F32;
  return fbs::CreateTensor(b, name, &shape, quantization, dtype);
}

// Layer i ends behind the last op that holds any of layers 0..i; the last with the last op.
std::vector<std::uint32_t> layer_end_ops(const Graph& graph) {
  std::vector<std::uint32_t> ends(graph.layers.size(), 0);
  for (std::uint32_t op = 0; op < graph.nodes.size(); ++op) {
    for (const std::uint32_t layer : graph.nodes[op].layers) ends[layer] = op + 1;
  }
  for (std::size_t i = 1; i < ends.size(); ++i) ends[i] = std::max(ends[i], ends[i - 1]);
  ends.back() = static_cast<std::uint32_t>(graph.nodes.size());
  return ends;
}

fbs::Precision to_fbs(Precision precision) {
  switch (precision) {
    case Precision::kF16:
      return fbs::Precision::F16;
    case Precision::kInt8:
      return fbs::Precision::QS8;
    case Precision::kF32:
      break;
  }
  return fbs::Precision::F32;
}

// `next_segment` moves on by the variant's segments.
Offset<fbs::Variant> write_variant(FlatBufferBuilder& b, const VariantGraph& variant,
                                   int& next_segment) {
  const Graph& graph = *variant.graph;
  std::vector<Offset<fbs::Tensor>> tensors;
  for (const Value& value : graph.values) {
    tensors.push_back(write_tensor(b, value, tensors.size()));
  }
  std::vector<Offset<fbs::Op>> ops;
  for (const Node& node : graph.nodes) {
    const int segment = node.has_weights() ? next_segment++ : -1;
    ops.push_back(write_op(b, node, variant.precision, ops.size(), segment));
  }
  const auto name = b.CreateString(variant.name);
  const auto tensor_vector = b.CreateVector(tensors);
  const auto op_vector = b.CreateVector(ops);
  const auto ends = b.CreateVector(layer_end_ops(graph));
  return fbs::CreateVariant(b, name, to_fbs(variant.precision), tensor_vector, op_vector,
                            graph.input, graph.output, ends);
}

fbs::ColorOrder color_order(const Graph& graph) {
  const std::uint32_t channels = graph.values[graph.input].shape.channels;
  if (channels == 1) return fbs::ColorOrder::Gray;
  if (channels != 3) return fbs::ColorOrder::None;
  return graph.preprocessing.color_order == GraphPreprocessing::ColorOrder::kBgr
             ? fbs::ColorOrder::BGR
             : fbs::ColorOrder::RGB;
}

Offset<fbs::Preprocessing> write_preprocessing(FlatBufferBuilder& b, const Graph& graph) {
  const GraphPreprocessing& p = graph.preprocessing;
  const std::size_t channels = graph.values[graph.input].shape.channels;
  // What a source does not say leaves the pixels as they are.
  const auto mean = b.CreateVector(p.mean.empty() ? std::vector<float>(channels, 0.0f) : p.mean);
  const auto deviation =
      b.CreateVector(p.deviation.empty() ? std::vector<float>(channels, 1.0f) : p.deviation);
  const auto crop =
      p.crop == GraphPreprocessing::Crop::kCenterSquare ? fbs::Crop::CenterSquare : fbs::Crop::None;
  return fbs::CreatePreprocessing(b, color_order(graph), crop, p.crop_ppm,
                                  fbs::ResizeFilter::Triangle, mean, deviation);
}

Offset<fbs::SelfTest> write_self_test(FlatBufferBuilder& b, const SelfTestPicture& test,
                                      const std::string& variant_name) {
  const auto pixels = b.CreateVector(test.pixels);
  const auto variant = b.CreateString(variant_name);
  const auto scores = b.CreateVector(test.scores);
  return fbs::CreateSelfTest(b, pixels, variant, scores, test.tolerance);
}

std::vector<fbs::Segment> to_fbs(std::span<const PlacedSegment> segments) {
  std::vector<fbs::Segment> result;
  for (const PlacedSegment& segment : segments) {
    result.emplace_back(segment.offset, segment.bytes, flatbuffers::make_span(segment.sha256));
  }
  return result;
}

Offset<flatbuffers::Vector<Offset<fbs::Layer>>> write_layers(FlatBufferBuilder& b,
                                                             const Graph& graph) {
  std::vector<Offset<fbs::Layer>> layers;
  for (const GraphLayer& layer : graph.layers) {
    const auto name =
        b.CreateString(name_text(layer.name, "layer" + std::to_string(layers.size())));
    const auto kind = b.CreateString(name_text(layer.kind, "Layer"));
    layers.push_back(fbs::CreateLayer(b, name, kind));
  }
  return b.CreateVector(layers);
}

Offset<flatbuffers::Vector<Offset<flatbuffers::String>>> write_labels(FlatBufferBuilder& b,
                                                                      const Graph& graph) {
  if (graph.labels.empty()) return 0;
  std::vector<Offset<flatbuffers::String>> labels;
  for (const std::string& label : graph.labels) {
    labels.push_back(b.CreateString(clean_text(label, kMaxLabelBytes)));
  }
  return b.CreateVector(labels);
}

}  // namespace

bool stores_f16(const Node& node, Precision precision) {
  constexpr float kLargestHalf = 65504;
  return precision == Precision::kF16 &&
         std::ranges::all_of(node.kernel, [](float w) { return std::abs(w) <= kLargestHalf; });
}

SegmentLayout layout_segment(const Node& node, Precision precision) {
  SegmentLayout layout;
  const std::size_t element = stores_f16(node, precision) ? sizeof(std::uint16_t) : sizeof(float);
  layout.kernel_bytes = node.kernel.size() * element + node.int8_kernel.size();
  layout.bias_bytes =
      node.bias.size() * sizeof(float) + node.int32_bias.size() * sizeof(std::int32_t);
  layout.bias_offset = (layout.kernel_bytes + kWeightViewAlignment - 1) / kWeightViewAlignment *
                       kWeightViewAlignment;
  return layout;
}

std::vector<std::uint8_t> build_model_header(std::span<const VariantGraph> variants,
                                             std::span<const PlacedSegment> segments,
                                             const std::optional<SelfTestPicture>& self_test) {
  const Graph& graph = *variants[0].graph;
  FlatBufferBuilder b;
  const auto name = b.CreateString(name_text(graph.name, "model"));
  const auto source = b.CreateString(name_text(graph.source_format, "unknown"));
  Offset<flatbuffers::String> licence;
  if (!graph.licence.empty()) licence = b.CreateString(graph.licence);
  const auto preprocessing = write_preprocessing(b, graph);
  const auto labels = write_labels(b, graph);
  const auto layers = write_layers(b, graph);
  std::vector<Offset<fbs::Variant>> variant_list;
  int next_segment = 0;
  for (const VariantGraph& variant : variants) {
    variant_list.push_back(write_variant(b, variant, next_segment));
  }
  const auto variant_vector = b.CreateVector(variant_list);
  const auto segment_vector = b.CreateVectorOfStructs(to_fbs(segments));
  Offset<fbs::SelfTest> test;
  if (self_test.has_value()) test = write_self_test(b, *self_test, variants[0].name);
  fbs::FinishModelBuffer(b, fbs::CreateModel(b, name, source, licence, preprocessing, labels,
                                             layers, variant_vector, segment_vector, test));
  return {b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()};
}

}  // namespace cleave::importer
