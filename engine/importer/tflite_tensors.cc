// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/importer/tflite_import.h"
#include "engine/kernels/half.h"

namespace cleave::importer {
namespace {

using tflite::TensorType;

constexpr std::size_t kMaxNameBytes = 200;
constexpr std::size_t kMaxParameters = 64;
constexpr std::uint64_t kMaxConstantElements = std::uint64_t{1} << 31;

std::size_t element_bytes(TensorType type) {
  switch (type) {
    case TensorType::FLOAT32:
    case TensorType::INT32:
      return 4;
    case TensorType::FLOAT16:
      return 2;
    case TensorType::INT8:
    case TensorType::UINT8:
      return 1;
    case TensorType::INT64:
      return 8;
    default:
      return 0;
  }
}

std::optional<QuantizationParameters::Type> quantized_type(TensorType type) {
  switch (type) {
    case TensorType::INT8:
      return QuantizationParameters::Type::kS8;
    case TensorType::UINT8:
      return QuantizationParameters::Type::kU8;
    case TensorType::INT32:
      return QuantizationParameters::Type::kS32;
    default:
      return std::nullopt;
  }
}

bool zero_point_fits(std::int64_t zero_point, TensorType type) {
  switch (type) {
    case TensorType::INT8:
      return zero_point >= -128 && zero_point <= 127;
    case TensorType::UINT8:
      return zero_point >= 0 && zero_point <= 255;
    default:
      return zero_point == 0;
  }
}

// Elements of a shape, or nothing when a dimension is negative or the product is beyond any file.
std::optional<std::uint64_t> count_tensor_elements(const std::vector<std::int64_t>& shape) {
  std::uint64_t total = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent != 0 && total > kMaxConstantElements / static_cast<std::uint64_t>(extent)) {
      return std::nullopt;
    }
    total *= static_cast<std::uint64_t>(extent);
  }
  return total;
}

template <typename T>
T load(const std::uint8_t* bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

std::vector<float> load_floats(const std::uint8_t* bytes, std::size_t count, TensorType type) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = type == TensorType::FLOAT32 ? load<float>(bytes, i)
                                            : kernels::half_to_float(load<std::uint16_t>(bytes, i));
  }
  return values;
}

std::int32_t load_quantized(const std::uint8_t* bytes, std::size_t index, TensorType type) {
  if (type == TensorType::INT8) return load<std::int8_t>(bytes, index);
  if (type == TensorType::UINT8) return bytes[index];
  return load<std::int32_t>(bytes, index);
}

// real = scale * (q - zero_point), rounded once from the exact product (int32 biases do not fit
// f32's 24 bits).
std::vector<float> dequantize(const std::uint8_t* bytes, std::size_t count, TensorType type,
                              const QuantizationParameters& q,
                              const std::vector<std::int64_t>& shape) {
  std::size_t inner = count;  // elements between steps of the quantized dimension
  if (q.axis >= 0) {
    inner = 1;
    for (std::size_t d = static_cast<std::size_t>(q.axis) + 1; d < shape.size(); ++d) {
      inner *= static_cast<std::size_t>(shape[d]);
    }
  }
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t channel = q.axis >= 0 ? i / inner % q.scale.size() : 0;
    const double steps = static_cast<double>(load_quantized(bytes, i, type)) -
                         static_cast<double>(q.zero_point[channel]);
    values[i] = static_cast<float>(static_cast<double>(q.scale[channel]) * steps);
  }
  return values;
}

}  // namespace

const tflite::Tensor* TfliteImport::tensor(int index) const {
  const auto* tensors = network_->tensors();
  if (tensors == nullptr || index < 0 || static_cast<std::uint32_t>(index) >= tensors->size()) {
    return nullptr;
  }
  return tensors->Get(static_cast<std::uint32_t>(index));
}

// Converters join the names of all that they fused with ';', the result's own first.
std::string TfliteImport::tensor_name(int index) const {
  const tflite::Tensor* source = tensor(index);
  if (source == nullptr || source->name() == nullptr) return {};
  std::string name = source->name()->str().substr(0, kMaxNameBytes);
  name = name.substr(0, name.find(';'));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, '_');
  return name;
}

std::vector<std::int64_t> TfliteImport::tensor_shape(int index) const {
  const tflite::Tensor* source = tensor(index);
  if (source == nullptr || source->shape() == nullptr) return {};
  return {source->shape()->begin(), source->shape()->end()};
}

const tflite::Buffer* TfliteImport::buffer_of(int index) const {
  const tflite::Tensor* source = tensor(index);
  const auto* buffers = model_->buffers();
  if (source == nullptr || buffers == nullptr || source->buffer() >= buffers->size()) {
    return nullptr;
  }
  return buffers->Get(source->buffer());
}

bool TfliteImport::is_constant(int index) const {
  if (tensor(index) == nullptr) return false;
  if (tracked_[static_cast<std::size_t>(index)].constant >= 0) return true;
  const tflite::Buffer* buffer = buffer_of(index);
  if (buffer == nullptr) return false;
  return (buffer->data() != nullptr && buffer->data()->size() > 0) || buffer->offset() > 1;
}

void TfliteImport::alias_constant(int output, int input) {
  const int source = tracked_[static_cast<std::size_t>(input)].constant;
  tracked_[static_cast<std::size_t>(output)].constant = source >= 0 ? source : input;
}

Result<QuantizationParameters> TfliteImport::quantization(int index) const {
  QuantizationParameters result;
  const tflite::Tensor* source = tensor(index);
  if (source == nullptr || source->quantization() == nullptr) return result;
  const tflite::Quantization& q = *source->quantization();
  const auto type = quantized_type(source->type());
  if (!type || q.scale() == nullptr || q.scale()->size() == 0) return result;

  const auto bad = [&](const char* why) {
    return Status(StatusCode::kCorrupt, "tensor \"" + tensor_name(index) + "\": " + why);
  };
  result.type = *type;
  result.scale.assign(q.scale()->begin(), q.scale()->end());
  for (const float scale : result.scale) {
    if (!std::isfinite(scale) || scale < 0)
      return bad("quantization scale is negative or not finite");
  }
  if (result.scale.size() > 1) {
    const std::vector<std::int64_t> shape = tensor_shape(index);
    const int axis = q.quantized_dimension();
    if (axis < 0 || static_cast<std::size_t>(axis) >= shape.size() ||
        shape[static_cast<std::size_t>(axis)] != static_cast<std::int64_t>(result.scale.size())) {
      return bad("quantization scales do not agree with the shape");
    }
    result.axis = axis;
  }
  result.zero_point.assign(result.scale.size(), 0);
  if (q.zero_point() == nullptr || q.zero_point()->size() == 0) return result;
  if (q.zero_point()->size() != result.scale.size()) return bad("one zero point a scale is needed");
  for (std::uint32_t i = 0; i < q.zero_point()->size(); ++i) {
    const std::int64_t zero_point = q.zero_point()->Get(i);
    if (!zero_point_fits(zero_point, source->type())) return bad("zero point is out of range");
    result.zero_point[i] = static_cast<std::int32_t>(zero_point);
  }
  return result;
}

Result<TfliteConstant> TfliteImport::constant(int index, const QuantizationParameters& missing) {
  if (!is_constant(index)) {
    return Status(StatusCode::kUnsupported,
                  "needs constant weights, \"" + tensor_name(index) + "\" is computed");
  }
  const int alias = tracked_[static_cast<std::size_t>(index)].constant;
  const int stored = alias >= 0 ? alias : index;
  const tflite::Tensor& source = *tensor(stored);
  const tflite::Buffer& buffer = *buffer_of(stored);
  const auto complain = [&](StatusCode code, const char* why) {
    return Status(code, "constant \"" + tensor_name(stored) + "\" " + why);
  };
  if (buffer.data() == nullptr) return complain(StatusCode::kUnsupported, "is outside the file");
  if (source.sparsity() != nullptr) return complain(StatusCode::kUnsupported, "is sparse");
  const std::size_t bytes = element_bytes(source.type());
  if (bytes == 0 || source.type() == TensorType::INT64) {
    return complain(StatusCode::kUnsupported, "has a type that weights cannot have");
  }

  TfliteConstant result;
  result.shape = tensor_shape(stored);
  const std::optional<std::uint64_t> count = count_tensor_elements(result.shape);
  if (!count || *count * bytes != buffer.data()->size()) {
    return complain(StatusCode::kCorrupt, "is not as long as its shape says");
  }
  constant_elements_ += *count;
  if (constant_elements_ > max_constant_elements_) {
    return complain(StatusCode::kResourceExhausted, "is shared by too many operators");
  }
  const std::uint8_t* data = buffer.data()->data();
  if (source.type() == TensorType::FLOAT32 || source.type() == TensorType::FLOAT16) {
    result.values = load_floats(data, static_cast<std::size_t>(*count), source.type());
    return result;
  }
  CLEAVE_ASSIGN_OR_RETURN(result.quantization, quantization(stored));
  if (result.quantization.empty()) result.quantization = missing;
  if (result.quantization.empty()) return complain(StatusCode::kCorrupt, "has no scale");
  result.values = dequantize(data, static_cast<std::size_t>(*count), source.type(),
                             result.quantization, result.shape);
  return result;
}

Result<std::vector<std::int64_t>> TfliteImport::integers(int index) const {
  const tflite::Tensor* source = tensor(index);
  const tflite::Buffer* buffer = buffer_of(index);
  if (source == nullptr || buffer == nullptr || buffer->data() == nullptr) {
    return Status(StatusCode::kUnsupported,
                  "parameter \"" + tensor_name(index) + "\" is not a constant");
  }
  const bool narrow = source->type() == TensorType::INT32;
  if (!narrow && source->type() != TensorType::INT64) {
    return Status(StatusCode::kCorrupt,
                  "parameter \"" + tensor_name(index) + "\" is not of integers");
  }
  const std::optional<std::uint64_t> count = count_tensor_elements(tensor_shape(index));
  if (!count || *count > kMaxParameters ||
      *count * element_bytes(source->type()) != buffer->data()->size()) {
    return Status(StatusCode::kCorrupt,
                  "parameter \"" + tensor_name(index) + "\" is not as long as its shape says");
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(*count));
  const std::uint8_t* data = buffer->data()->data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = narrow ? load<std::int32_t>(data, i) : load<std::int64_t>(data, i);
  }
  return values;
}

}  // namespace cleave::importer
