// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/importer/tflite_builder.h"

namespace cleave::test {

using tflite::Padding;

int TfliteBuilder::tensor(const std::string& name, const std::vector<int>& shape,
                          tflite::TensorType type, const TfliteQuantization& quantization) {
  return add(name, shape, type, quantization, 0);
}

int TfliteBuilder::stored(const std::string& name, const std::vector<int>& shape,
                          tflite::TensorType type, const std::vector<std::uint8_t>& bytes,
                          const TfliteQuantization& quantization) {
  buffers_.push_back(tflite::CreateBufferDirect(fbb_, &bytes));
  return add(name, shape, type, quantization, static_cast<std::uint32_t>(buffers_.size()));
}

int TfliteBuilder::add(const std::string& name, const std::vector<int>& shape,
                       tflite::TensorType type, const TfliteQuantization& quantization,
                       std::uint32_t buffer) {
  flatbuffers::Offset<tflite::Quantization> q = 0;
  if (!quantization.scale.empty()) {
    q = tflite::CreateQuantizationDirect(fbb_, nullptr, nullptr, &quantization.scale,
                                         &quantization.zero_point, 0, 0, quantization.dimension);
  }
  tensors_.push_back(tflite::CreateTensorDirect(fbb_, &shape, type, buffer, name.c_str(), q));
  return static_cast<int>(tensors_.size()) - 1;
}

void TfliteBuilder::op(tflite::BuiltinOperator code, const std::vector<int>& inputs,
                       const std::vector<int>& outputs, tflite::OperatorOptions options_type,
                       flatbuffers::Offset<void> options) {
  const auto narrow = static_cast<std::int8_t>(std::min(static_cast<int>(code), 127));
  codes_.push_back(tflite::CreateOperatorCodeDirect(fbb_, narrow, nullptr, 1, code));
  operators_.push_back(tflite::CreateOperatorDirect(fbb_,
                                                    static_cast<std::uint32_t>(codes_.size() - 1),
                                                    &inputs, &outputs, options_type, options));
}

void TfliteBuilder::op_by_number(int deprecated_code, int code, const std::vector<int>& inputs,
                                 const std::vector<int>& outputs) {
  codes_.push_back(tflite::CreateOperatorCodeDirect(fbb_, static_cast<std::int8_t>(deprecated_code),
                                                    nullptr, 1,
                                                    static_cast<tflite::BuiltinOperator>(code)));
  operators_.push_back(tflite::CreateOperatorDirect(
      fbb_, static_cast<std::uint32_t>(codes_.size() - 1), &inputs, &outputs));
}

std::vector<std::byte> TfliteBuilder::finish(const std::vector<int>& inputs,
                                             const std::vector<int>& outputs) {
  const std::vector<std::uint8_t> nothing;  // buffer 0 belongs to what is computed
  buffers_.insert(buffers_.begin(), tflite::CreateBufferDirect(fbb_, &nothing));
  const std::vector<flatbuffers::Offset<tflite::SubGraph>> networks{
      tflite::CreateSubGraphDirect(fbb_, &tensors_, &inputs, &outputs, &operators_, "net")};
  fbb_.Finish(tflite::CreateModelDirect(fbb_, 3, &codes_, &networks, "test", &buffers_), "TFL3");
  const auto* bytes = reinterpret_cast<const std::byte*>(fbb_.GetBufferPointer());
  return {bytes, bytes + fbb_.GetSize()};
}

flatbuffers::Offset<void> conv_options(TfliteBuilder& b, Padding padding, int stride,
                                       tflite::Activation activation) {
  return tflite::CreateConv2DOptions(b.fbb(), padding, stride, stride, activation).Union();
}

flatbuffers::Offset<void> depthwise_options(TfliteBuilder& b, Padding padding, int stride) {
  return tflite::CreateDepthwiseConv2DOptions(b.fbb(), padding, stride, stride, 0).Union();
}

flatbuffers::Offset<void> pool_options(TfliteBuilder& b, Padding padding, int window, int stride) {
  return tflite::CreatePool2DOptions(b.fbb(), padding, stride, stride, window, window).Union();
}

flatbuffers::Offset<void> fully_connected_options(TfliteBuilder& b, tflite::Activation activation) {
  return tflite::CreateFullyConnectedOptions(b.fbb(), activation).Union();
}

}  // namespace cleave::test
