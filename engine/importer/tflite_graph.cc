// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/importer/tflite_import.h"

namespace cleave::importer {
namespace {

using tflite::Activation;
using tflite::TensorType;

constexpr float kUnbounded = std::numeric_limits<float>::infinity();
constexpr std::size_t kMaxTensors = 100'000;
constexpr std::int64_t kMaxTfliteExtent = 1 << 20;

std::string extents_text(const std::vector<std::int64_t>& extents) {
  std::string text = "[";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(extents[i]);
  }
  return text + "]";
}

// Operators whose sums may leave the range that their quantized output can hold.
bool can_saturate(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D ||
         kind == NodeKind::kFullyConnected || kind == NodeKind::kAdd ||
         kind == NodeKind::kMultiply || kind == NodeKind::kAffine;
}

TfliteClamp intersect(TfliteClamp fused, const TfliteClamp& range) {
  fused.minimum = std::max(fused.minimum, range.minimum);
  fused.maximum = std::min(fused.maximum, range.maximum);
  return fused;
}

// What follows the operator as a node of its own: its fused activation within the range of the
// output, or the activation that the range alone implies.
std::optional<TfliteClamp> activation_node(const std::optional<TfliteClamp>& fused,
                                           const std::optional<TfliteClamp>& range) {
  if (fused) return range ? intersect(*fused, *range) : fused;
  return range && range->minimum == 0 ? range : std::nullopt;
}

Result<Hwc> image_shape(const std::vector<std::int64_t>& extents, bool nchw) {
  for (const std::int64_t extent : extents) {
    if (extent < 1 || extent > kMaxTfliteExtent) {
      return Status(StatusCode::kUnsupported,
                    "the input's shape " + extents_text(extents) + " is not fixed");
    }
  }
  if (extents.size() != 4 && extents.size() != 2) {
    return Status(StatusCode::kUnsupported,
                  "the input's shape " + extents_text(extents) + " is not that of a picture");
  }
  if (extents[0] != 1) {
    return Status(StatusCode::kUnsupported, "the network is made for batches of " +
                                                std::to_string(extents[0]) +
                                                "; export it for a batch of 1");
  }
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(extents[i]); };
  if (extents.size() == 2) return Hwc{1, 1, at(1)};
  return nchw ? Hwc{at(2), at(3), at(1)} : Hwc{at(1), at(2), at(3)};
}

}  // namespace

std::size_t TfliteOperator::input_count() const {
  return source->inputs() == nullptr ? 0 : source->inputs()->size();
}

int TfliteOperator::input(std::size_t i) const {
  return i < input_count() ? source->inputs()->Get(static_cast<std::uint32_t>(i)) : -1;
}

int TfliteOperator::output(std::size_t i) const {
  const auto* outputs = source->outputs();
  return outputs != nullptr && i < outputs->size() ? outputs->Get(static_cast<std::uint32_t>(i))
                                                   : -1;
}

tflite::BuiltinOperator code_of(const tflite::OperatorCode& entry) {
  const auto narrow = static_cast<std::int32_t>(entry.deprecated_builtin_code());
  return static_cast<tflite::BuiltinOperator>(
      std::max(narrow, static_cast<std::int32_t>(entry.builtin_code())));
}

Result<std::optional<TfliteClamp>> clamp_of(Activation activation) {
  switch (activation) {
    case Activation::NONE:
      return std::optional<TfliteClamp>();
    case Activation::RELU:
      return std::optional(TfliteClamp{0, kUnbounded, "RELU"});
    case Activation::RELU_N1_TO_1:
      return std::optional(TfliteClamp{-1, 1, "RELU_N1_TO_1"});
    case Activation::RELU6:
      return std::optional(TfliteClamp{0, 6, "RELU6"});
    default:
      return Status(StatusCode::kUnsupported, "fused activation " +
                                                  std::to_string(static_cast<int>(activation)) +
                                                  " (TANH or SIGN_BIT)");
  }
}

std::optional<TfliteClamp> representable_range(const QuantizationParameters& output) {
  if (output.scale.size() != 1 || output.type == QuantizationParameters::Type::kS32) {
    return std::nullopt;
  }
  const int lowest = output.type == QuantizationParameters::Type::kS8 ? -128 : 0;
  const float scale = output.scale[0];
  const float minimum = scale * static_cast<float>(lowest - output.zero_point[0]);
  const float maximum = scale * static_cast<float>(lowest + 255 - output.zero_point[0]);
  // One step is how exactly a converter can put the 6 at the end of the range.
  const bool ends_at_six = std::fabs(maximum - 6) <= scale;
  return TfliteClamp{minimum, maximum, ends_at_six ? "RELU6" : "RELU"};
}

// A buffer may be named many times: all constants together may have 16 elements for a byte of the
// file, which no network that shares weights in earnest comes near.
TfliteImport::TfliteImport(const tflite::Model& model, std::size_t file_bytes)
    : model_(&model),
      network_(model.subgraphs()->Get(0)),
      max_constant_elements_(std::max<std::uint64_t>(file_bytes, 1 << 16) * 16) {
  if (network_->tensors() != nullptr) tracked_.resize(network_->tensors()->size());
  graph_.source_format = "tflite";
  if (network_->name() != nullptr) graph_.name = network_->name()->str().substr(0, 64);
}

// An NCHW network of a converter starts by transposing (perhaps after QUANTIZE); nothing else
// tells the two layouts apart.
bool TfliteImport::input_is_nchw(int input) const {
  const auto* operators = network_->operators();
  if (operators == nullptr || model_->operator_codes() == nullptr) return false;
  for (std::uint32_t i = 0; i < operators->size(); ++i) {
    TfliteOperator op;
    op.source = operators->Get(i);
    if (op.input(0) != input || op.source->opcode_index() >= model_->operator_codes()->size()) {
      continue;
    }
    const tflite::BuiltinOperator code =
        code_of(*model_->operator_codes()->Get(op.source->opcode_index()));
    if (code == tflite::BuiltinOperator::QUANTIZE || code == tflite::BuiltinOperator::DEQUANTIZE) {
      input = op.output(0);
      continue;
    }
    const Result<std::vector<std::int64_t>> order = integers(op.input(1));
    return code == tflite::BuiltinOperator::TRANSPOSE && order.is_ok() &&
           *order == std::vector<std::int64_t>{0, 2, 3, 1};
  }
  return false;
}

// A quantized u8 input takes the picture's bytes as they are: real = scale * (byte - zero_point).
void TfliteImport::set_preprocessing(const QuantizationParameters& input, std::uint32_t channels) {
  if (input.scale.size() != 1 || input.scale[0] == 0) return;
  if (input.type != QuantizationParameters::Type::kU8 || (channels != 1 && channels != 3)) return;
  graph_.preprocessing.mean.assign(channels, static_cast<float>(input.zero_point[0]));
  graph_.preprocessing.deviation.assign(channels, 1 / input.scale[0]);
  if (channels == 1) graph_.preprocessing.color_order = GraphPreprocessing::ColorOrder::kGray;
}

Status TfliteImport::begin() {
  if (tracked_.size() > kMaxTensors) return {StatusCode::kCorrupt, "too many tensors"};
  const auto* inputs = network_->inputs();
  if (inputs == nullptr || inputs->size() != 1) {
    return {StatusCode::kUnsupported, "the network has " +
                                          std::to_string(inputs == nullptr ? 0 : inputs->size()) +
                                          " inputs; one picture is what can be imported"};
  }
  const int input = inputs->Get(0);
  if (tensor(input) == nullptr) return {StatusCode::kCorrupt, "the network's input does not exist"};
  const TensorType type = tensor(input)->type();
  if (type != TensorType::FLOAT32 && type != TensorType::UINT8 && type != TensorType::INT8) {
    return {StatusCode::kUnsupported, std::string("input of type ") +
                                          tflite::EnumNameTensorType(type) +
                                          "; FLOAT32, UINT8 and INT8 can be imported"};
  }
  const bool nchw = input_is_nchw(input);
  CLEAVE_ASSIGN_OR_RETURN(const Hwc hwc, image_shape(tensor_shape(input), nchw));
  std::string name = tensor_name(input);
  graph_.input = graph_.add_value(name.empty() ? "input" : std::move(name), hwc);
  QuantizationParameters& q = graph_.values[graph_.input].quantization;
  CLEAVE_ASSIGN_OR_RETURN(q, quantization(input));
  set_preprocessing(q, hwc.channels);

  LayoutView view = nchw ? view_nchw(hwc) : view_nhwc(hwc);
  if (tensor_shape(input).size() == 2) view.dims.erase(view.dims.begin() + 1, view.dims.end() - 1);
  return bind(input, graph_.input, std::move(view));
}

Status TfliteImport::end() {
  const auto* outputs = network_->outputs();
  if (outputs == nullptr || outputs->size() != 1) {
    return {StatusCode::kUnsupported, "the network has " +
                                          std::to_string(outputs == nullptr ? 0 : outputs->size()) +
                                          " outputs; one vector of scores is what can be imported"};
  }
  const int output = outputs->Get(0);
  if (tensor(output) == nullptr ||
      tracked_[static_cast<std::size_t>(output)].state != State::kComputed) {
    return {StatusCode::kCorrupt, "no operator computes the network's output"};
  }
  graph_.output = tracked_[static_cast<std::size_t>(output)].operand.value;
  return Status::ok();
}

Result<TfliteOperand> TfliteImport::operand(const TfliteOperator& op, std::size_t i) const {
  const int index = op.input(i);
  if (tensor(index) == nullptr) {
    return Status(StatusCode::kCorrupt, "input " + std::to_string(i) + " does not exist");
  }
  const Tracked& tracked = tracked_[static_cast<std::size_t>(index)];
  if (tracked.state == State::kComputed) return tracked.operand;
  if (is_constant(index)) {
    return Status(StatusCode::kUnsupported,
                  "input \"" + tensor_name(index) + "\" is a constant here");
  }
  return Status(StatusCode::kCorrupt,
                "input \"" + tensor_name(index) + "\" is used before it is computed");
}

Result<ValueId> TfliteImport::nhwc_operand(const TfliteOperator& op, std::size_t i) const {
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand found, operand(op, i));
  if (found.view != view_nhwc(shape(found.value))) {
    return Status(StatusCode::kUnsupported,
                  "input \"" + tensor_name(op.input(i)) + "\" is not laid out as N,H,W,C");
  }
  return found.value;
}

// Remembers that tensor `index` is `value`; what the file says of its shape must agree.
Status TfliteImport::bind(int index, ValueId value, LayoutView view) {
  const std::vector<std::int64_t> said = tensor_shape(index);
  const std::vector<std::int64_t> computed = view_extents(view, shape(value));
  if (said != computed) {
    return {StatusCode::kCorrupt, "\"" + tensor_name(index) + "\" is said to be " +
                                      extents_text(said) + " but computes " +
                                      extents_text(computed)};
  }
  Tracked& tracked = tracked_[static_cast<std::size_t>(index)];
  if (tracked.state == State::kComputed) {
    return {StatusCode::kCorrupt, "\"" + tensor_name(index) + "\" is computed twice"};
  }
  tracked.state = State::kComputed;
  tracked.operand = {value, std::move(view)};
  return Status::ok();
}

Status TfliteImport::emit(const TfliteOperator& op, Node node, Activation activation,
                          std::optional<LayoutView> view) {
  const int output = op.output(0);
  if (tensor(output) == nullptr) return {StatusCode::kCorrupt, "its output does not exist"};
  CLEAVE_ASSIGN_OR_RETURN(const QuantizationParameters q, quantization(output));
  CLEAVE_ASSIGN_OR_RETURN(const std::optional<TfliteClamp> fused, clamp_of(activation));
  const std::optional<TfliteClamp> range =
      can_saturate(node.kind) ? representable_range(q) : std::nullopt;
  const std::optional<TfliteClamp> clamp = activation_node(fused, range);
  if (range && !clamp) {
    node.clamp_min = range->minimum;
    node.clamp_max = range->maximum;
  }

  node.name = op.name;
  node.source_type = op.type;
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, infer_shape(graph_, node));
  node.output = graph_.add_value(clamp ? op.name + "/linear" : op.name, out);
  ValueId result = node.output;
  graph_.nodes.push_back(std::move(node));
  if (clamp) {
    Node activated;
    activated.kind = NodeKind::kClamp;
    activated.name = op.name + "/" + clamp->type;
    activated.source_type = clamp->type;
    activated.inputs = {result};
    activated.clamp_min = clamp->minimum;
    activated.clamp_max = clamp->maximum;
    result = activated.output = graph_.add_value(op.name, out);
    graph_.nodes.push_back(std::move(activated));
  }
  graph_.values[result].quantization = q;
  return bind(output, result, view ? *std::move(view) : view_nhwc(out));
}

Status TfliteImport::emit_marker(const TfliteOperator& op, LayoutView view) {
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, operand(op, 0));
  Node node;
  node.kind = NodeKind::kMarker;
  node.inputs = {input.value};
  return emit(op, std::move(node), Activation::NONE, std::move(view));
}

bool TfliteImport::is_poisoned(const TfliteOperator& op) const {
  for (std::size_t i = 0; i < op.input_count(); ++i) {
    if (tensor(op.input(i)) == nullptr) continue;
    const auto index = static_cast<std::size_t>(op.input(i));
    if (tracked_[index].state == State::kPoisoned) return true;
  }
  return false;
}

void TfliteImport::poison_outputs(const TfliteOperator& op) {
  for (std::size_t i = 0; op.output(i) != -1; ++i) {
    if (tensor(op.output(i)) == nullptr) continue;
    tracked_[static_cast<std::size_t>(op.output(i))].state = State::kPoisoned;
  }
}

}  // namespace cleave::importer
