// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/tf_refusals.h"
#include "engine/importer/tflite_import.h"

namespace cleave::importer {
namespace {

using tflite::BuiltinOperator;

constexpr std::size_t kBufferAlignment = 16;  // of the format's weight buffers
constexpr std::uint64_t kMaxFileBytes = (std::uint64_t{1} << 31) - 1;

struct Handler {
  BuiltinOperator code;
  Status (*import)(TfliteImport&, const TfliteOperator&);
};

constexpr auto kTfliteHandlers = std::to_array<Handler>({
    {BuiltinOperator::ADD, import_binary},
    {BuiltinOperator::AVERAGE_POOL_2D, import_pool_2d},
    {BuiltinOperator::CONCATENATION, import_concatenation},
    {BuiltinOperator::CONV_2D, import_conv_2d},
    {BuiltinOperator::DEPTHWISE_CONV_2D, import_depthwise_conv_2d},
    {BuiltinOperator::DEQUANTIZE, import_quantize},
    {BuiltinOperator::FULLY_CONNECTED, import_fully_connected},
    {BuiltinOperator::HARD_SWISH, import_activation},
    {BuiltinOperator::LEAKY_RELU, import_activation},
    {BuiltinOperator::LOGISTIC, import_activation},
    {BuiltinOperator::MAX_POOL_2D, import_pool_2d},
    {BuiltinOperator::MEAN, import_mean},
    {BuiltinOperator::MUL, import_binary},
    {BuiltinOperator::PAD, import_pad},
    {BuiltinOperator::PADV2, import_pad},
    {BuiltinOperator::QUANTIZE, import_quantize},
    {BuiltinOperator::RELU, import_activation},
    {BuiltinOperator::RELU6, import_activation},
    {BuiltinOperator::RELU_N1_TO_1, import_activation},
    {BuiltinOperator::RESHAPE, import_reshape},
    {BuiltinOperator::SOFTMAX, import_softmax},
    {BuiltinOperator::SQUEEZE, import_squeeze},
    {BuiltinOperator::TRANSPOSE, import_transpose},
});

const Handler* find_handler(BuiltinOperator code) {
  const auto* found = std::find_if(kTfliteHandlers.begin(), kTfliteHandlers.end(),
                                   [code](const Handler& h) { return h.code == code; });
  return found == kTfliteHandlers.end() ? nullptr : found;
}

std::string type_name(const tflite::OperatorCode& entry) {
  const BuiltinOperator code = code_of(entry);
  if (code == BuiltinOperator::CUSTOM && entry.custom_code() != nullptr) {
    return "CUSTOM " + entry.custom_code()->str().substr(0, 64);
  }
  const std::string name = tflite::EnumNameBuiltinOperator(code);
  return name.empty() ? "operator " + std::to_string(static_cast<std::int32_t>(code)) : name;
}

Result<TfliteOperator> describe(const tflite::Model& model, const TfliteImport& import,
                                const tflite::Operator& source, std::size_t position) {
  const auto* codes = model.operator_codes();
  if (codes == nullptr || source.opcode_index() >= codes->size()) {
    return Status(StatusCode::kCorrupt,
                  "operator " + std::to_string(position) + " has no operator code");
  }
  const tflite::OperatorCode& entry = *codes->Get(source.opcode_index());
  TfliteOperator op{&source, code_of(entry), type_name(entry), {}};
  op.name = import.tensor_name(op.output(0));
  if (op.name.empty()) op.name = op.type + "_" + std::to_string(position);
  return op;
}

// An operator behind one that was refused cannot be judged; it is passed over.
Status import_operator(TfliteImport& import, const TfliteOperator& op, Refusals& refusals) {
  const Handler* handler = find_handler(op.code);
  if (handler == nullptr) {
    refusals.add(op.type, op.name, "");
  } else if (!import.is_poisoned(op)) {
    const Status status = handler->import(import, op);
    if (status.is_ok()) return status;
    if (status.code() != StatusCode::kUnsupported) {
      return status.with_context(op.type + " \"" + op.name + "\"");
    }
    refusals.add(op.type, op.name, status.message());
  }
  import.poison_outputs(op);
  return Status::ok();
}

Result<Graph> import_model(const tflite::Model& model, std::size_t file_bytes) {
  if (model.subgraphs() == nullptr || model.subgraphs()->size() == 0) {
    return Status(StatusCode::kCorrupt, "the file holds no network");
  }
  TfliteImport import(model, file_bytes);
  CLEAVE_RETURN_IF_ERROR(import.begin());
  Refusals refusals;
  if (const auto* operators = import.network().operators(); operators != nullptr) {
    for (std::uint32_t i = 0; i < operators->size(); ++i) {
      CLEAVE_ASSIGN_OR_RETURN(const TfliteOperator op,
                              describe(model, import, *operators->Get(i), i));
      CLEAVE_RETURN_IF_ERROR(import_operator(import, op, refusals));
    }
  }
  CLEAVE_RETURN_IF_ERROR(refusals.status("operators"));
  CLEAVE_RETURN_IF_ERROR(import.end());
  CLEAVE_RETURN_IF_ERROR(validate(import.graph()));
  return std::move(import.graph());
}

}  // namespace

Result<Graph> read_tflite(std::span<const std::byte> file) {
  if (file.size() > kMaxFileBytes) {
    return Status(StatusCode::kResourceExhausted, "a TFLite file is at most 2 GiB long");
  }
  std::vector<std::byte> aligned;
  if (reinterpret_cast<std::uintptr_t>(file.data()) % kBufferAlignment != 0) {
    aligned.assign(file.begin(), file.end());
    file = aligned;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.data());
  flatbuffers::Verifier verifier(bytes, file.size());
  if (!tflite::VerifyModelBuffer(verifier)) {
    return Status(StatusCode::kCorrupt, "not a TFLite file, or a damaged one");
  }
  return import_model(*tflite::GetModel(bytes), file.size());
}

}  // namespace cleave::importer
