// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/tfjs_weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "engine/kernels/half.h"

namespace cleave::importer {
namespace {

constexpr std::uint64_t kMaxStoredBytes = std::uint64_t{1} << 31;
constexpr std::uint64_t kMaxTfjsElements = std::uint64_t{1} << 31;
constexpr std::size_t kMaxWeights = 20'000;
constexpr std::size_t kMaxRank = 8;

Status corrupt_weights(std::string why) { return {StatusCode::kCorrupt, std::move(why)}; }

// A shard's file, if its name stays below the model's directory.
std::optional<std::string> shard_path(const std::string& name, const std::string& directory) {
  const std::filesystem::path path(name);
  if (name.empty() || path.is_absolute()) return std::nullopt;
  for (const auto& part : path) {
    if (part == "..") return std::nullopt;
  }
  return (std::filesystem::path(directory) / path).string();
}

std::optional<std::size_t> count_elements(const std::vector<std::int64_t>& shape) {
  std::uint64_t total = 1;
  if (shape.size() > kMaxRank) return std::nullopt;
  for (const std::int64_t extent : shape) {
    if (extent < 1 || total > kMaxTfjsElements / static_cast<std::uint64_t>(extent)) {
      return std::nullopt;
    }
    total *= static_cast<std::uint64_t>(extent);
  }
  return static_cast<std::size_t>(total);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  }
  return text + "]";
}

template <typename T>
T load(const char* bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

bool ends_with_component(const std::string& name, const std::string& tail) {
  return name.size() > tail.size() && name.ends_with(tail) &&
         name[name.size() - tail.size() - 1] == '/';
}

}  // namespace

std::size_t TfjsWeights::storage_bytes(Storage storage) {
  switch (storage) {
    case Storage::kU8:
      return 1;
    case Storage::kF16:
    case Storage::kU16:
      return 2;
    default:
      return 4;
  }
}

Result<TfjsWeights::Storage> TfjsWeights::storage_of(const std::string& dtype) {
  if (dtype == "float32") return Storage::kF32;
  if (dtype == "float16") return Storage::kF16;
  if (dtype == "uint8") return Storage::kU8;
  if (dtype == "uint16") return Storage::kU16;
  if (dtype == "int32") return Storage::kS32;
  return Status(StatusCode::kUnsupported, "weights of type \"" + dtype.substr(0, 32) + "\"");
}

// With "quantization" the numbers are stored as its dtype; float16 has no scale.
Result<TfjsWeights::Weight> TfjsWeights::read_spec(const Json& spec) {
  Weight weight;
  const Json* shape = json_member(spec, "shape");
  if (shape == nullptr) return corrupt_weights("has no shape");
  CLEAVE_ASSIGN_OR_RETURN(weight.shape, json_integers(*shape));
  const std::optional<std::size_t> elements = count_elements(weight.shape);
  if (!elements) return corrupt_weights("has the impossible shape " + shape_text(weight.shape));
  weight.elements = *elements;

  const Json* quantization = json_member(spec, "quantization");
  const std::string* dtype = json_text(json_member(quantization ? *quantization : spec, "dtype"));
  if (dtype == nullptr) return corrupt_weights("has no dtype");
  CLEAVE_ASSIGN_OR_RETURN(weight.storage, storage_of(*dtype));
  if (weight.storage != Storage::kU8 && weight.storage != Storage::kU16) return weight;
  if (quantization == nullptr) return weight;
  const Json* scale = json_member(*quantization, "scale");
  const Json* minimum = json_member(*quantization, "min");
  if (scale == nullptr || minimum == nullptr)
    return corrupt_weights("is packed without scale and min");
  CLEAVE_ASSIGN_OR_RETURN(weight.scale, json_number(*scale));
  CLEAVE_ASSIGN_OR_RETURN(weight.minimum, json_number(*minimum));
  return weight;
}

Status TfjsWeights::read_shards(const Json& group, const std::string& directory) {
  std::vector<char>& bytes = groups_.emplace_back();
  const Json* paths = json_member(group, "paths");
  for (std::size_t i = 0; i < json_size(paths); ++i) {
    const std::string* name = json_text(&json_at(*paths, i));
    if (name == nullptr) return corrupt_weights("a shard's path is not a string");
    const std::optional<std::string> path = shard_path(*name, directory);
    if (!path) return corrupt_weights("shard \"" + *name + "\" is not below the model's directory");
    CLEAVE_ASSIGN_OR_RETURN(const std::vector<char> shard,
                            read_tfjs_file(*path, kMaxStoredBytes - stored_bytes_));
    bytes.insert(bytes.end(), shard.begin(), shard.end());
    stored_bytes_ += shard.size();
  }
  return Status::ok();
}

Status TfjsWeights::read_group(const Json& group, const std::string& directory) {
  CLEAVE_RETURN_IF_ERROR(read_shards(group, directory));
  const std::size_t available = groups_.back().size();
  std::size_t offset = 0;
  const Json* specs = json_member(group, "weights");
  for (std::size_t i = 0; i < json_size(specs); ++i) {
    const Json& spec = json_at(*specs, i);
    const std::string* name = json_text(json_member(spec, "name"));
    if (name == nullptr) return corrupt_weights("a weight has no name");
    Result<Weight> weight = read_spec(spec);
    if (!weight.is_ok()) return weight.status().with_context("weight \"" + *name + "\"");
    const std::size_t bytes = weight->elements * storage_bytes(weight->storage);
    if (bytes > available - offset) return corrupt_weights("weight \"" + *name + "\" is cut off");
    weight->group = groups_.size() - 1;
    weight->offset = offset;
    offset += bytes;
    std::string key = name->ends_with(":0") ? name->substr(0, name->size() - 2) : *name;
    if (!weights_.emplace(std::move(key), std::move(*weight)).second) {
      return corrupt_weights("weight \"" + *name + "\" is there twice");
    }
    if (weights_.size() > kMaxWeights) return corrupt_weights("too many weights");
  }
  if (offset != available) {
    return corrupt_weights(std::to_string(available - offset) +
                           " bytes of the shards belong to no weight");
  }
  return Status::ok();
}

Result<TfjsWeights> TfjsWeights::read(const Json& manifest, const std::string& directory) {
  TfjsWeights result;
  for (std::size_t i = 0; i < json_size(&manifest); ++i) {
    CLEAVE_RETURN_IF_ERROR(result.read_group(json_at(manifest, i), directory));
  }
  return result;
}

const TfjsWeights::Weight* TfjsWeights::find(const std::string& name) const {
  if (const auto exact = weights_.find(name); exact != weights_.end()) return &exact->second;
  const Weight* found = nullptr;
  for (const auto& [full_name, weight] : weights_) {
    if (!ends_with_component(full_name, name)) continue;
    if (found != nullptr) return nullptr;  // ambiguous
    found = &weight;
  }
  return found;
}

std::vector<float> TfjsWeights::decode(const Weight& weight) const {
  const char* bytes = groups_[weight.group].data() + weight.offset;
  std::vector<float> values(weight.elements);
  // q * scale + min in double and rounded once, as a JavaScript engine computes it.
  const auto unpack = [&](double q) {
    return static_cast<float>(q * weight.scale + weight.minimum);
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (weight.storage) {
      case Storage::kF32:
        values[i] = load<float>(bytes, i);
        break;
      case Storage::kF16:
        values[i] = kernels::half_to_float(load<std::uint16_t>(bytes, i));
        break;
      case Storage::kU8:
        values[i] = unpack(load<std::uint8_t>(bytes, i));
        break;
      case Storage::kU16:
        values[i] = unpack(load<std::uint16_t>(bytes, i));
        break;
      case Storage::kS32:
        values[i] = static_cast<float>(load<std::int32_t>(bytes, i));
        break;
    }
  }
  return values;
}

Result<std::vector<float>> TfjsWeights::take(const std::string& layer, const char* weight,
                                             const std::vector<std::int64_t>& shape) {
  const std::string name = layer + "/" + weight;
  const Weight* found = find(name);
  if (found == nullptr) return Status(StatusCode::kNotFound, "there is no weight \"" + name + "\"");
  if (found->shape != shape) {
    return corrupt_weights("weight \"" + name + "\" is " + shape_text(found->shape) + ", not " +
                           shape_text(shape));
  }
  taken_elements_ += found->elements;
  if (taken_elements_ > std::max<std::uint64_t>(stored_bytes_, 1 << 16) * 16) {
    return Status(StatusCode::kResourceExhausted,
                  "weight \"" + name + "\" is shared by too many layers");
  }
  return decode(*found);
}

}  // namespace cleave::importer
