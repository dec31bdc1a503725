// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/tfjs_json.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace cleave::importer {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::int64_t kMaxJsonExtent = 4096;

Status wrong_type(const char* key, const char* wanted) {
  return {StatusCode::kCorrupt, std::string("\"") + key + "\" is not " + wanted};
}

Result<std::uint32_t> checked_extent(const Json& value, const char* key) {
  const Result<std::int64_t> number = json_integer(value);
  if (!number.is_ok() || *number < 1 || *number > kMaxJsonExtent) {
    return wrong_type(key, "a whole number from 1 to 4096");
  }
  return static_cast<std::uint32_t>(*number);
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;  // what is refused is not kept, so nothing deep is ever built
  };
  Json parsed = Json::parse(text.begin(), text.end(), watch_depth, /*allow_exceptions=*/false);
  if (too_deep) return Status(StatusCode::kCorrupt, "JSON is nested too deeply");
  if (parsed.is_discarded()) return Status(StatusCode::kCorrupt, "not valid JSON");
  return parsed;
}

Result<std::vector<char>> read_tfjs_file(const std::string& path, std::uint64_t max_bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return Status(StatusCode::kNotFound, path + ": no such file");
  }
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) return Status(StatusCode::kIo, path + ": " + error.message());
  if (bytes > max_bytes) {
    return Status(StatusCode::kResourceExhausted,
                  path + ": longer than the " + std::to_string(max_bytes) + " bytes allowed");
  }
  std::vector<char> content(static_cast<std::size_t>(bytes));
  std::ifstream file(path, std::ios::binary);
  file.read(content.data(), static_cast<std::streamsize>(bytes));
  if (!file) return Status(StatusCode::kIo, path + ": cannot be read");
  return content;
}

const Json* json_member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const std::string* json_text(const Json* value) {
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

std::size_t json_size(const Json* value) {
  return value != nullptr && value->is_array() ? value->size() : 0;
}

const Json& json_at(const Json& array, std::size_t i) { return array[i]; }

Result<std::int64_t> json_integer(const Json& value) {
  if (value.is_number_integer()) {
    // An unsigned number beyond int64 wraps to a negative one here, which no caller takes.
    return value.get<std::int64_t>();
  }
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::nearbyint(number) == number && std::fabs(number) < 0x1p53) {
      return static_cast<std::int64_t>(number);
    }
  }
  return Status(StatusCode::kCorrupt, "not a whole number");
}

Result<double> json_number(const Json& value) {
  if (!value.is_number()) return Status(StatusCode::kCorrupt, "not a number");
  const double number = value.get<double>();
  if (!std::isfinite(number)) return Status(StatusCode::kCorrupt, "not a finite number");
  return number;
}

Result<std::vector<std::int64_t>> json_integers(const Json& array) {
  if (!array.is_array()) return Status(StatusCode::kCorrupt, "not a list of numbers");
  std::vector<std::int64_t> result;
  for (const Json& element : array) {
    if (element.is_null()) {
      result.push_back(-1);
      continue;
    }
    CLEAVE_ASSIGN_OR_RETURN(const std::int64_t number, json_integer(element));
    result.push_back(number);
  }
  return result;
}

const Json* TfjsConfig::member(const char* key) const {
  return config_ == nullptr ? nullptr : json_member(*config_, key);
}

Result<bool> TfjsConfig::flag(const char* key, bool fallback) const {
  const Json* value = member(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return wrong_type(key, "true or false");
  return value->get<bool>();
}

Result<double> TfjsConfig::number(const char* key, double fallback) const {
  const Json* value = member(key);
  if (value == nullptr) return fallback;
  const Result<double> number = json_number(*value);
  return number.is_ok() ? number : Result<double>(wrong_type(key, "a number"));
}

Result<std::string> TfjsConfig::text(const char* key, const char* fallback) const {
  const Json* value = member(key);
  if (value == nullptr) return std::string(fallback);
  const std::string* text = json_text(value);
  if (text == nullptr) return wrong_type(key, "a string");
  return text->substr(0, 64);
}

Result<std::uint32_t> TfjsConfig::extent(const char* key, std::uint32_t fallback) const {
  const Json* value = member(key);
  if (value == nullptr) return fallback;
  return checked_extent(*value, key);
}

Result<std::array<std::uint32_t, 2>> TfjsConfig::extents(
    const char* key, std::array<std::uint32_t, 2> fallback) const {
  const Json* value = member(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t both, checked_extent(*value, key));
    return std::array{both, both};
  }
  if (json_size(value) != 2) return wrong_type(key, "a number or a pair of numbers");
  std::array<std::uint32_t, 2> pair{};
  for (std::size_t i = 0; i < pair.size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(pair[i], checked_extent(json_at(*value, i), key));
  }
  return pair;
}

}  // namespace cleave::importer
