// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_tensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace cleave::importer {
namespace {

constexpr std::int64_t kMaxOnnxElements = std::numeric_limits<std::int32_t>::max();

float half_to_float(std::uint16_t bits) {
  const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  if (exponent == 31) {
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

Status wrong_size(const onnx::TensorProto& proto, std::size_t elements) {
  return {StatusCode::kCorrupt, "tensor \"" + proto.name() + "\" does not hold its " +
                                    std::to_string(elements) + " elements"};
}

// The elements as stored: raw bytes of `Stored`, else the typed field of the file.
template <typename Stored, typename Field, typename Convert, typename Out>
Status read_elements(const onnx::TensorProto& proto, const Field& field, Convert convert,
                     std::size_t count, std::vector<Out>& out) {
  if (proto.has_raw_data()) {
    const std::string& raw = proto.raw_data();
    if (raw.size() != count * sizeof(Stored)) return wrong_size(proto, count);
    out.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      Stored stored;
      std::memcpy(&stored, raw.data() + i * sizeof(Stored), sizeof(Stored));
      out[i] = convert(stored);
    }
    return Status::ok();
  }
  if (static_cast<std::size_t>(field.size()) != count) return wrong_size(proto, count);
  out.reserve(count);
  for (const auto element : field) out.push_back(convert(static_cast<Stored>(element)));
  return Status::ok();
}

Status read_ints(const onnx::TensorProto& proto, std::size_t count,
                 std::vector<std::int64_t>& out) {
  const auto widen = [](auto x) { return static_cast<std::int64_t>(x); };
  switch (proto.data_type()) {
    case onnx::TensorProto::INT64:
      return read_elements<std::int64_t>(proto, proto.int64_data(), widen, count, out);
    case onnx::TensorProto::INT32:
      return read_elements<std::int32_t>(proto, proto.int32_data(), widen, count, out);
    case onnx::TensorProto::INT16:
      return read_elements<std::int16_t>(proto, proto.int32_data(), widen, count, out);
    case onnx::TensorProto::UINT16:
      return read_elements<std::uint16_t>(proto, proto.int32_data(), widen, count, out);
    case onnx::TensorProto::INT8:
      return read_elements<std::int8_t>(proto, proto.int32_data(), widen, count, out);
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::BOOL:
      return read_elements<std::uint8_t>(proto, proto.int32_data(), widen, count, out);
    default:
      return {StatusCode::kUnsupported, "tensor \"" + proto.name() + "\" has element type " +
                                            std::to_string(proto.data_type())};
  }
}

Status read_floats(const onnx::TensorProto& proto, std::size_t count, std::vector<float>& out) {
  switch (proto.data_type()) {
    case onnx::TensorProto::DOUBLE:
      return read_elements<double>(
          proto, proto.double_data(), [](double x) { return static_cast<float>(x); }, count, out);
    case onnx::TensorProto::FLOAT16:
      return read_elements<std::uint16_t>(proto, proto.int32_data(), half_to_float, count, out);
    default:
      return read_elements<float>(
          proto, proto.float_data(), [](float x) { return x; }, count, out);
  }
}

template <typename T>
std::vector<T> pick(const std::vector<T>& from, std::span<const std::int64_t> dims,
                    std::span<const std::int64_t> strides, std::int64_t offset, std::size_t count) {
  std::vector<T> out;
  out.reserve(count);
  std::vector<std::int64_t> index(dims.size(), 0);
  std::int64_t at = offset;
  for (std::size_t n = 0; n < count; ++n) {
    out.push_back(from[static_cast<std::size_t>(at)]);
    for (std::size_t d = dims.size(); d-- > 0;) {  // odometer: the last dimension runs fastest
      at += strides[d];
      if (++index[d] < dims[d]) break;
      at -= strides[d] * dims[d];
      index[d] = 0;
    }
  }
  return out;
}

}  // namespace

std::string dims_text(std::span<const std::int64_t> dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

Result<std::size_t> count_elements(std::span<const std::int64_t> dims) {
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) {
    if (dim < 0 || (dim != 0 && count > kMaxOnnxElements / dim)) {
      return Status(StatusCode::kCorrupt, "tensor shape " + dims_text(dims) + " is out of range");
    }
    count *= dim;
  }
  return static_cast<std::size_t>(count);
}

Result<OnnxTensor> read_onnx_tensor(const onnx::TensorProto& proto) {
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    return Status(StatusCode::kUnsupported,
                  "tensor \"" + proto.name() +
                      "\" is stored in another file; save the model with its weights inside");
  }
  OnnxTensor tensor;
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t count, count_elements(tensor.dims));
  tensor.is_float = proto.data_type() == onnx::TensorProto::FLOAT ||
                    proto.data_type() == onnx::TensorProto::DOUBLE ||
                    proto.data_type() == onnx::TensorProto::FLOAT16;
  CLEAVE_RETURN_IF_ERROR(tensor.is_float ? read_floats(proto, count, tensor.floats)
                                         : read_ints(proto, count, tensor.ints));
  return tensor;
}

std::vector<std::int64_t> dense_strides(std::span<const std::int64_t> dims) {
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t d = dims.size(); d-- > 1;) strides[d - 1] = strides[d] * dims[d];
  return strides;
}

OnnxTensor pick_elements(const OnnxTensor& tensor, std::vector<std::int64_t> dims,
                         std::span<const std::int64_t> strides, std::int64_t offset) {
  std::size_t count = 1;
  for (const std::int64_t dim : dims) count *= static_cast<std::size_t>(dim);
  OnnxTensor out;
  out.is_float = tensor.is_float;
  if (tensor.is_float) {
    out.floats = pick(tensor.floats, dims, strides, offset, count);
  } else {
    out.ints = pick(tensor.ints, dims, strides, offset, count);
  }
  out.dims = std::move(dims);
  return out;
}

}  // namespace cleave::importer
