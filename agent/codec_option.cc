// SPDX-License-Identifier: Apache-2.0
#include "agent/codec_option.h"

#include <charconv>
#include <utility>

namespace cleave::agent {
namespace {

constexpr std::pair<fbs::Codec, std::string_view> kNames[] = {
    {fbs::Codec::Raw, "raw"},     {fbs::Codec::Lossless, "lossless"},
    {fbs::Codec::F16, "f16"},     {fbs::Codec::Int8, "int8"},
    {fbs::Codec::Coded, "coded"}, {fbs::Codec::JpegModelSize, "jpeg"}};
constexpr unsigned kBestJpegQuality = 100;

}  // namespace

std::string codec_name(const CodecChoice& choice) {
  for (const auto& [known, name] : kNames) {
    if (known != choice.codec) continue;
    const bool has_level = known == fbs::Codec::Coded || known == fbs::Codec::JpegModelSize;
    return std::string(name) + (has_level ? ":" + std::to_string(choice.quality) : "");
  }
  return "?";
}

std::optional<CodecChoice> find_codec(std::string_view name) {
  CodecChoice choice;
  if (const std::size_t colon = name.find(':'); colon != std::string_view::npos) {
    const std::string_view level = name.substr(colon + 1);
    name = name.substr(0, colon);
    const char* end = level.data() + level.size();
    const auto [read, error] = std::from_chars(level.data(), end, choice.quality);
    const bool has_level = name == "coded" || name == "jpeg";
    if (!has_level || error != std::errc{} || read != end) return std::nullopt;
  }
  for (const auto& [codec, known] : kNames) {
    if (known != name) continue;
    choice.codec = codec;
    const bool is_none =
        is_model_jpeg(choice) && (choice.quality < 1 || choice.quality > kBestJpegQuality);
    if (is_none) return std::nullopt;
    return choice;
  }
  return std::nullopt;
}

std::string codec_names() {
  std::string names;
  for (const auto& [codec, name] : kNames) {
    if (codec == fbs::Codec::JpegModelSize) continue;
    names += std::string(names.empty() ? "" : ", ") + std::string(name);
  }
  return names + "[:LEVEL], jpeg:QUALITY";
}

}  // namespace cleave::agent
