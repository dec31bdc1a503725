// SPDX-License-Identifier: Apache-2.0
//
// The fields of one line of a decision trace: what is written of a struct, and read back, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "schemas/profile_reader.h"

namespace cleave::agent {

using TraceJson = nlohmann::ordered_json;

// A member by its name in the line.
template <class T>
struct TraceNumber {
  const char* name;
  std::uint64_t T::*member;
};
template <class T>
struct TraceFlag {
  const char* name;
  bool T::*member;
};

template <class T, std::size_t kCount>
void put_fields(TraceJson& json, const T& value, const TraceNumber<T> (&fields)[kCount]) {
  for (const TraceNumber<T>& field : fields) json[field.name] = value.*field.member;
}

template <class T, std::size_t kCount>
void put_fields(TraceJson& json, const T& value, const TraceFlag<T> (&fields)[kCount]) {
  for (const TraceFlag<T>& field : fields) json[field.name] = value.*field.member;
}

// Reads one line's fields; remembers whether all were there and of the right kind.
class TraceFields {
 public:
  explicit TraceFields(TraceJson json) : json_(std::move(json)), good_(json_.is_object()) {}

  [[nodiscard]] bool good() const { return good_; }

  std::uint64_t number(const char* name, std::uint64_t most = UINT64_MAX) {
    const TraceJson* value = find(name);
    good_ = good_ && value != nullptr && value->is_number_unsigned() &&
            value->get<std::uint64_t>() <= most;
    return good_ ? value->get<std::uint64_t>() : 0;
  }
  [[nodiscard]] bool has(const char* name) { return find(name) != nullptr; }
  bool flag(const char* name) {
    const TraceJson* value = find(name);
    good_ = good_ && value != nullptr && value->is_boolean();
    return good_ && value->get<bool>();
  }
  std::string text(const char* name) {
    const TraceJson* value = find(name);
    good_ = good_ && value != nullptr && value->is_string();
    return good_ ? value->get<std::string>() : std::string();
  }
  // At most `most`, none over an hour of nanoseconds.
  std::vector<std::uint64_t> numbers(const char* name, std::size_t most = kMaxProfileOps) {
    std::vector<std::uint64_t> read;
    const TraceJson* value = find(name);
    if (value == nullptr || !value->is_array() || value->size() > most) {
      good_ = false;
      return read;
    }
    for (const TraceJson& entry : *value) {
      if (!entry.is_number_unsigned() || entry.get<std::uint64_t>() > kMaxProfileNs) {
        good_ = false;
        return {};
      }
      read.push_back(entry.get<std::uint64_t>());
    }
    return read;
  }

  // Those of an array; what is none spoils the line.
  std::vector<TraceJson> entries(const char* name, std::size_t most) {
    const TraceJson* value = find(name);
    good_ = good_ && value != nullptr && value->is_array() && value->size() <= most;
    return good_ ? std::vector<TraceJson>(value->begin(), value->end()) : std::vector<TraceJson>();
  }
  TraceJson object(const char* name) {
    const TraceJson* value = find(name);
    good_ = good_ && value != nullptr && value->is_object();
    return good_ ? *value : TraceJson::object();
  }
  void require(bool condition) { good_ = good_ && condition; }

  template <class T, std::size_t kCount>
  void get(T& value, const TraceNumber<T> (&fields)[kCount]) {
    for (const TraceNumber<T>& field : fields) value.*field.member = number(field.name);
  }
  template <class T, std::size_t kCount>
  void get(T& value, const TraceFlag<T> (&fields)[kCount]) {
    for (const TraceFlag<T>& field : fields) value.*field.member = flag(field.name);
  }

 private:
  const TraceJson* find(const char* name) {
    if (!json_.is_object()) return nullptr;
    const auto found = json_.find(name);
    return found == json_.end() ? nullptr : &*found;
  }

  const TraceJson json_;
  bool good_;
};

}  // namespace cleave::agent
