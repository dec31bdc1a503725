// SPDX-License-Identifier: Apache-2.0
#include "agent/codec_option.h"

#include <utility>

namespace cleave::agent {
namespace {

constexpr std::pair<fbs::Codec, const char*> kNames[] = {{fbs::Codec::Raw, "raw"},
                                                         {fbs::Codec::Lossless, "lossless"},
                                                         {fbs::Codec::F16, "f16"},
                                                         {fbs::Codec::Int8, "int8"}};

}  // namespace

const char* boundary_codec_name(fbs::Codec codec) {
  for (const auto& [known, name] : kNames) {
    if (known == codec) return name;
  }
  return "?";
}

std::optional<fbs::Codec> find_boundary_codec(std::string_view name) {
  for (const auto& [codec, known] : kNames) {
    if (known == name) return codec;
  }
  return std::nullopt;
}

std::vector<std::string> boundary_codec_names() {
  std::vector<std::string> names;
  for (const auto& [codec, name] : kNames) names.emplace_back(name);
  return names;
}

}  // namespace cleave::agent
