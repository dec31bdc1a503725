// SPDX-License-Identifier: Apache-2.0
//
// Builds small TFLite files in memory, with the reader's own schema. Tensors are numbered in the
// order in which they are made; operators run in the order in which they are added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/importer/generated/tflite_generated.h"
#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::test {

struct TfliteQuantization {
  std::vector<float> scale;
  std::vector<std::int64_t> zero_point;
  int dimension = 0;
};

class TfliteBuilder {
 public:
  // A tensor that operators compute, or the input.
  int tensor(const std::string& name, const std::vector<int>& shape,
             tflite::TensorType type = tflite::TensorType::FLOAT32,
             const TfliteQuantization& quantization = {});
  // A constant; T is float, std::int8_t, std::uint8_t, std::int32_t or (float16) std::uint16_t.
  template <typename T>
  int constant(const std::string& name, const std::vector<int>& shape, const std::vector<T>& values,
               const TfliteQuantization& quantization = {}) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    return stored(name, shape, type_of(T{}), {bytes, bytes + values.size() * sizeof(T)},
                  quantization);
  }

  // For the options of the next operator.
  flatbuffers::FlatBufferBuilder& fbb() { return fbb_; }
  void op(tflite::BuiltinOperator code, const std::vector<int>& inputs,
          const std::vector<int>& outputs,
          tflite::OperatorOptions options_type = tflite::OperatorOptions::NONE,
          flatbuffers::Offset<void> options = 0);
  // An operator code as files before schema 3a have it, or with the number of one we do not name.
  void op_by_number(int deprecated_code, int code, const std::vector<int>& inputs,
                    const std::vector<int>& outputs);

  // The file; the builder is used up.
  std::vector<std::byte> finish(const std::vector<int>& inputs, const std::vector<int>& outputs);

 private:
  static tflite::TensorType type_of(float) { return tflite::TensorType::FLOAT32; }
  static tflite::TensorType type_of(std::int8_t) { return tflite::TensorType::INT8; }
  static tflite::TensorType type_of(std::uint8_t) { return tflite::TensorType::UINT8; }
  static tflite::TensorType type_of(std::int32_t) { return tflite::TensorType::INT32; }
  static tflite::TensorType type_of(std::uint16_t) { return tflite::TensorType::FLOAT16; }
  int stored(const std::string& name, const std::vector<int>& shape, tflite::TensorType type,
             const std::vector<std::uint8_t>& bytes, const TfliteQuantization& quantization);
  int add(const std::string& name, const std::vector<int>& shape, tflite::TensorType type,
          const TfliteQuantization& quantization, std::uint32_t buffer);

  flatbuffers::FlatBufferBuilder fbb_;
  std::vector<flatbuffers::Offset<tflite::Tensor>> tensors_;
  std::vector<flatbuffers::Offset<tflite::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes_;
  std::vector<flatbuffers::Offset<tflite::Operator>> operators_;
};

// Options with the usual defaults, for TfliteBuilder::op.
flatbuffers::Offset<void> conv_options(TfliteBuilder& b, tflite::Padding padding, int stride = 1,
                                       tflite::Activation activation = tflite::Activation::NONE);
flatbuffers::Offset<void> depthwise_options(TfliteBuilder& b, tflite::Padding padding,
                                            int stride = 1);
flatbuffers::Offset<void> pool_options(TfliteBuilder& b, tflite::Padding padding, int window,
                                       int stride);
flatbuffers::Offset<void> fully_connected_options(
    TfliteBuilder& b, tflite::Activation activation = tflite::Activation::NONE);

}  // namespace cleave::test
