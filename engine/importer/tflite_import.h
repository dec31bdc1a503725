// SPDX-License-Identifier: Apache-2.0
//
// What the TFLite reader (tflite_reader.cc) and its operator handlers (tflite_ops_*.cc) share.
// Private to the tflite_*.cc files. The FlatBuffer has been verified before any of this runs, so
// offsets can be trusted; indices, sizes and meanings are checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/importer/generated/tflite_generated.h"
#include "engine/importer/graph.h"
#include "engine/importer/layout_view.h"
#include "schemas/status.h"

namespace cleave::importer {

// One operator of the file with what was looked up about it once.
struct TfliteOperator {
  const tflite::Operator* source = nullptr;
  tflite::BuiltinOperator code = tflite::BuiltinOperator::CUSTOM;
  std::string type;  // "CONV_2D"
  std::string name;  // its output tensor's: operators have none of their own

  [[nodiscard]] std::size_t input_count() const;
  // -1 when there is no such input or output, or when it is left out.
  [[nodiscard]] int input(std::size_t i) const;
  [[nodiscard]] int output(std::size_t i) const;
};

// A tensor that operators compute: our value, and how the file sees it.
struct TfliteOperand {
  ValueId value = kNoValue;
  LayoutView view;
};

// A constant tensor as f32; quantization.axis is a dimension of `shape`.
struct TfliteConstant {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  QuantizationParameters quantization;
};

class TfliteImport {
 public:
  // `model` must outlive this. REQUIRES: model has a subgraph.
  TfliteImport(const tflite::Model& model, std::size_t file_bytes);

  // Makes the network's input. Errors: kCorrupt, kUnsupported.
  [[nodiscard]] Status begin();
  // Sets the network's output. Errors: kCorrupt, kUnsupported.
  [[nodiscard]] Status end();

  [[nodiscard]] const tflite::SubGraph& network() const { return *network_; }
  [[nodiscard]] Graph& graph() { return graph_; }

  // --- tensors of the file (tflite_tensors.cc) ---
  // nullptr when there is none.
  [[nodiscard]] const tflite::Tensor* tensor(int index) const;
  [[nodiscard]] std::string tensor_name(int index) const;
  [[nodiscard]] std::vector<std::int64_t> tensor_shape(int index) const;
  [[nodiscard]] bool is_constant(int index) const;
  // From now on `output` is the constant `input` (a DEQUANTIZE of stored float16 weights).
  void alias_constant(int output, int input);
  // `missing` is used when the file quantizes the tensor without saying how. Errors: kCorrupt
  // (size and shape disagree), kUnsupported (type, sparse, outside the file), kResourceExhausted.
  [[nodiscard]] Result<TfliteConstant> constant(int index,
                                                const QuantizationParameters& missing = {});
  // The same for INT32 and INT64 parameters (paddings, axes, shapes); at most 64 of them.
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(int index) const;
  // What the file says of a tensor's quantization; empty when it says nothing.
  [[nodiscard]] Result<QuantizationParameters> quantization(int index) const;

  // --- building the graph (tflite_graph.cc) ---
  // Input `i` of the operator. Errors: kCorrupt (not computed before), kUnsupported (a constant).
  [[nodiscard]] Result<TfliteOperand> operand(const TfliteOperator& op, std::size_t i) const;
  // The same, seen as N,H,W,C. Errors: also kUnsupported (any other layout).
  [[nodiscard]] Result<ValueId> nhwc_operand(const TfliteOperator& op, std::size_t i) const;
  [[nodiscard]] const Hwc& shape(ValueId value) const { return graph_.values[value].shape; }

  // Appends `node` (kind, inputs and parameters set) as operator `op`, then its fused or implied
  // activation as a node of its own. The output is seen through `view`; without one as N,H,W,C.
  // Errors: kCorrupt (shapes disagree with the file), kUnsupported (activation).
  [[nodiscard]] Status emit(const TfliteOperator& op, Node node,
                            tflite::Activation activation = tflite::Activation::NONE,
                            std::optional<LayoutView> view = std::nullopt);
  // Appends a marker: `op` only changes how its first input is seen.
  [[nodiscard]] Status emit_marker(const TfliteOperator& op, LayoutView view);
  // Whether an earlier operator could not be imported and `op` depends on it.
  [[nodiscard]] bool is_poisoned(const TfliteOperator& op) const;
  void poison_outputs(const TfliteOperator& op);

 private:
  enum class State : std::uint8_t { kUnknown, kComputed, kPoisoned };
  // What is known of a tensor while the operators are walked.
  struct Tracked {
    State state = State::kUnknown;
    TfliteOperand operand;
    int constant = -1;  // the tensor whose buffer holds this constant
  };

  [[nodiscard]] const tflite::Buffer* buffer_of(int index) const;
  [[nodiscard]] bool input_is_nchw(int input) const;
  [[nodiscard]] Status bind(int index, ValueId value, LayoutView view);
  void set_preprocessing(const QuantizationParameters& input, std::uint32_t channels);

  const tflite::Model* model_;
  const tflite::SubGraph* network_;
  Graph graph_;
  std::vector<Tracked> tracked_;  // by tensor index
  std::uint64_t constant_elements_ = 0;
  std::uint64_t max_constant_elements_;
};

// Files before schema 3a know only the narrow code; later ones put 127 there when it does not fit.
[[nodiscard]] tflite::BuiltinOperator code_of(const tflite::OperatorCode& entry);

// The clamp that an activation is; empty for NONE. Errors: kUnsupported (TANH, SIGN_BIT).
struct TfliteClamp {
  float minimum, maximum;
  const char* type;  // of the node that it becomes: "RELU6"
};
[[nodiscard]] Result<std::optional<TfliteClamp>> clamp_of(tflite::Activation activation);

// The real numbers that a quantized output can represent; empty when it is not quantized.
//
// Rule: an operator whose sums can leave that range saturates there, as the published network
// does, only without its rounding. So a ReLU6 that was folded into the range of its convolution
// comes out as a clamp to that range, and logits beyond the range tie as they do in int8. A fused
// activation and the range both hold. Where the lowest number is 0 the clamp is an activation, and
// a node of its own; else it belongs to the operator.
[[nodiscard]] std::optional<TfliteClamp> representable_range(const QuantizationParameters& output);

// --- operator handlers ---
// tflite_ops_convolution.cc
[[nodiscard]] Status import_conv_2d(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_depthwise_conv_2d(TfliteImport& import, const TfliteOperator& op);
// tflite_ops_fully_connected.cc
[[nodiscard]] Status import_fully_connected(TfliteImport& import, const TfliteOperator& op);
// tflite_ops_pooling.cc
[[nodiscard]] Status import_pool_2d(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_mean(TfliteImport& import, const TfliteOperator& op);
// tflite_ops_arithmetic.cc
[[nodiscard]] Status import_binary(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_activation(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_softmax(TfliteImport& import, const TfliteOperator& op);
// tflite_ops_layout.cc
[[nodiscard]] Status import_concatenation(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_pad(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_reshape(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_squeeze(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_transpose(TfliteImport& import, const TfliteOperator& op);
[[nodiscard]] Status import_quantize(TfliteImport& import, const TfliteOperator& op);

}  // namespace cleave::importer
