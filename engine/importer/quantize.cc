// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/quantize.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/importer/quantize_weights.h"
#include "schemas/int8_bounds.h"

namespace cleave::importer {
namespace {

bool runs_on_int8(NodeKind kind) {
  switch (kind) {
    case NodeKind::kConv2D:
    case NodeKind::kDepthwiseConv2D:
    case NodeKind::kMaxPool2D:
    case NodeKind::kClamp:
    case NodeKind::kAdd:
    case NodeKind::kConcat:
    case NodeKind::kPad:
      return true;
    default:
      return false;
  }
}

// Output and inputs are held with the same scale.
bool keeps_scale(NodeKind kind) {
  return kind == NodeKind::kMaxPool2D || kind == NodeKind::kClamp || kind == NodeKind::kConcat ||
         kind == NodeKind::kPad;
}

// Zero is always exact: padding is made of it.
Int8Scale scale_of_range(ValueRange range) {
  constexpr double kSteps = 255;
  const float minimum = std::min(range.minimum, 0.0F);
  const float maximum = std::max(range.maximum, 0.0F);
  // Of a value that never was anything but zero nothing is known. What is as good as zero, and what
  // spans all of f32, still needs a scale that is a number.
  const double step = (double{maximum} - minimum) / kSteps;
  const float scale = maximum > minimum ? std::max(static_cast<float>(step), kLeastScale) : 1.0F;
  const float zero_point = std::nearbyint(-128.0F - minimum / scale);
  return {scale, static_cast<std::int32_t>(std::clamp(zero_point, -128.0F, 127.0F))};
}

// The source's own scale of a value, unsigned ones moved to int8.
bool source_scale(const QuantizationParameters& q, Int8Scale& scale) {
  using Type = QuantizationParameters::Type;
  if (q.scale.size() != 1 || q.type == Type::kS32 || !is_scale(q.scale[0])) return false;
  scale = {q.scale[0], q.zero_point[0] - (q.type == Type::kU8 ? 128 : 0)};
  return scale.zero_point >= -128 && scale.zero_point <= 127;
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

// A convolution to one pixel is a fully connected layer, kernel and all.
bool sees_all_at_once(const Graph& graph, const Node& node) {
  const Hwc& input = graph.values[node.inputs[0]].shape;
  const Hwc& output = graph.values[node.output].shape;
  const Window2D& window = node.window;
  return node.kind == NodeKind::kConv2D && node.groups == 1 && !node.padding.any() &&
         output.height == 1 && output.width == 1 && window.height == input.height &&
         window.width == input.width && window.dilation_height == 1 && window.dilation_width == 1;
}

// Copies the graph node by node; a value may come to be in an f32 and an int8 form.
class Quantizer {
 public:
  Quantizer(const Graph& source, const Calibration& calibration, ScaleSource scales)
      : source_(source),
        calibration_(calibration),
        scales_(source.values.size()),
        forms_(source.values.size()) {
    for (ValueId value = 0; value < source.values.size(); ++value) {
      const bool from_source = scales == ScaleSource::kSourceFirst &&
                               source_scale(source.values[value].quantization, scales_[value]);
      if (!from_source) scales_[value] = scale_of_range(calibration.ranges[value]);
    }
    share_scales();
  }

  Result<Graph> run() {
    copy_description();
    result_.input = form(source_.input, /*int8=*/false);
    for (const Node& node : source_.nodes) CLEAVE_RETURN_IF_ERROR(add(node));
    // Whoever reads the scores reads f32.
    result_.output = read(source_.output, /*int8=*/false, source_.nodes.back().layers);
    return std::move(result_);
  }

 private:
  // A value's two forms in the result.
  struct Forms {
    ValueId f32 = kNoValue;
    ValueId int8 = kNoValue;
  };

  // From the last node to the first, so that a chain of such nodes takes the scale of its end; the
  // inputs of a concatenation then come in its scale, with no conversion.
  void share_scales() {
    for (auto node = source_.nodes.rbegin(); node != source_.nodes.rend(); ++node) {
      if (!keeps_scale(node->kind)) continue;
      if (node->kind != NodeKind::kConcat) {
        scales_[node->output] = wider(scales_[node->output], scales_[node->inputs[0]]);
      }
      for (const ValueId input : node->inputs) {
        if (input != source_.input) scales_[input] = scales_[node->output];
      }
    }
    // What reads the network's input, or a value that another concatenation claimed, follows it.
    for (const Node& node : source_.nodes) {
      if (keeps_scale(node.kind) && node.kind != NodeKind::kConcat) {
        scales_[node.output] = scales_[node.inputs[0]];
      }
    }
  }

  static Int8Scale wider(const Int8Scale& a, const Int8Scale& b) {
    return a.scale < b.scale ? b : a;
  }

  void copy_description() {
    result_.name = source_.name;
    result_.source_format = source_.source_format;
    result_.licence = source_.licence;
    result_.layers = source_.layers;
    result_.preprocessing = source_.preprocessing;
    result_.labels = source_.labels;
  }

  ValueId new_value(ValueId value, const Int8Scale* scale) {
    const Value& old = source_.values[value];
    const ValueId id = result_.add_value(old.name, old.shape);
    Value& made = result_.values[id];
    made.quantization = old.quantization;
    if (scale != nullptr) {
      made.held_as_int8 = true;
      made.quantization = {.type = QuantizationParameters::Type::kS8,
                           .scale = {scale->scale},
                           .zero_point = {scale->zero_point},
                           .axis = -1};
    }
    return id;
  }

  // The value's form, made now if it is not there; whoever asks writes it.
  ValueId form(ValueId value, bool int8) {
    ValueId& id = int8 ? forms_[value].int8 : forms_[value].f32;
    if (id == kNoValue) id = new_value(value, int8 ? &scales_[value] : nullptr);
    return id;
  }

  void convert(ValueId from, ValueId to, const std::vector<std::uint32_t>& layers) {
    Node node;
    node.kind = NodeKind::kConvert;
    node.name = result_.values[to].name + (result_.values[to].held_as_int8 ? ":int8" : ":f32");
    node.inputs = {from};
    node.output = to;
    node.layers = layers;
    result_.nodes.push_back(std::move(node));
  }

  // The form that a node of `layers` reads, converted from the other if that is all there is.
  ValueId read(ValueId value, bool int8, const std::vector<std::uint32_t>& layers) {
    const Forms& there = forms_[value];
    if ((int8 ? there.int8 : there.f32) != kNoValue) return form(value, int8);
    const ValueId from = int8 ? there.f32 : there.int8;
    const ValueId to = form(value, int8);
    convert(from, to, layers);
    return to;
  }

  // A concatenation's inputs must have its scale; one that could not take it is converted.
  ValueId read_in_scale(ValueId value, const Int8Scale& scale,
                        const std::vector<std::uint32_t>& layers) {
    if (scales_[value] == scale) return read(value, /*int8=*/true, layers);
    const float ratio = scales_[value].scale / scale.scale;
    const bool direct = ratio >= kLeastConvertRatio && ratio < kConvertRatioBelow;
    const ValueId from = read(value, /*int8=*/direct, layers);
    const ValueId to = new_value(value, &scale);
    convert(from, to, layers);
    return to;
  }

  // A sum of values of very unlike size is computed in f32.
  [[nodiscard]] bool scales_go(const Node& node) const {
    if (node.kind != NodeKind::kAdd) return true;
    return std::ranges::all_of(node.inputs, [&](ValueId input) {
      const float ratio = scales_[input].scale / scales_[node.output].scale;
      return ratio >= kLeastSumRatio && ratio < kSumRatioBelow;
    });
  }

  Status add(const Node& node) {
    if (!all_finite(node.kernel) || !all_finite(node.bias)) {
      return {StatusCode::kUnsupported,
              "int8: node \"" + node.name + "\" has weights that are not finite"};
    }
    Node copy = node;
    if (sees_all_at_once(source_, node)) {
      copy.kind = NodeKind::kFullyConnected;
      copy.window = {};
    }
    const bool int8 = runs_on_int8(copy.kind) && scales_go(node);
    for (ValueId& input : copy.inputs) {
      input = node.kind == NodeKind::kConcat
                  ? read_in_scale(input, scales_[node.output], node.layers)
                  : read(input, int8, node.layers);
    }
    copy.output = form(node.output, int8);
    if (!node.kernel.empty()) quantize_weights(copy, node);
    result_.nodes.push_back(std::move(copy));
    return Status::ok();
  }

  void quantize_weights(Node& copy, const Node& node) {
    const std::size_t channels = source_.values[node.output].shape.channels;
    const auto& input = calibration_.channels[node.inputs[0]];
    if (copy.kind == NodeKind::kFullyConnected) {
      quantize_fully_connected(copy, channels, input);
    } else {
      quantize_convolution(copy, channels, input, scales_[node.inputs[0]], scales_[node.output]);
    }
  }

  const Graph& source_;
  const Calibration& calibration_;
  std::vector<Int8Scale> scales_;  // by the source's values
  std::vector<Forms> forms_;       // likewise
  Graph result_;
};

}  // namespace

Result<Graph> quantize(const Graph& graph, const Calibration& calibration, ScaleSource scales) {
  const std::size_t values = graph.values.size();
  if (calibration.ranges.size() != values || calibration.channels.size() != values) {
    return Status{StatusCode::kInternal, "int8: not one range per value"};
  }
  for (std::size_t v = 0; v < values; ++v) {
    const std::size_t known = calibration.channels[v].size();
    if (known != 0 && known != graph.values[v].shape.channels) {
      return Status{StatusCode::kInternal, "int8: not one range per channel"};
    }
  }
  for (const ValueRange& range : calibration.ranges) {
    if (!std::isfinite(range.minimum) || !std::isfinite(range.maximum)) {
      return Status{StatusCode::kUnsupported, "int8: a value's range is not finite"};
    }
  }
  return Quantizer(graph, calibration, scales).run();
}

}  // namespace cleave::importer
