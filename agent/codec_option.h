// SPDX-License-Identifier: Apache-2.0
//
// What the codecs that a plan chooses among, those of boundary tensors and JPEGs at model size, are
// called on the command line, in records and in traces.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/codec/boundary_codec.h"
#include "schemas/generated/wire_generated.h"

namespace cleave::agent {

// "raw", "lossless", "f16", "int8", "coded:N" with its level, or "jpeg:N" with its quality.
// REQUIRES: one of these codecs.
[[nodiscard]] std::string codec_name(const CodecChoice& choice);

// The reverse, "coded" being "coded:0"; nothing for another name, nor for a JPEG whose quality is
// not 1 to 100.
[[nodiscard]] std::optional<CodecChoice> find_codec(std::string_view name);

// What find_codec() reads, for a person.
[[nodiscard]] std::string codec_names();

// As --codec and records have it when split and codec are chosen together.
inline constexpr std::string_view kCodecAuto = "auto";

// Whether it is a picture's and not the tensors'.
[[nodiscard]] constexpr bool is_model_jpeg(const CodecChoice& choice) {
  return choice.codec == fbs::Codec::JpegModelSize;
}

// A codec with its level in the one number that the planner library has for it; of codecs without
// levels it is their number on the wire, and so it is of JPEGs, whose qualities have no room there.
[[nodiscard]] constexpr std::uint8_t pack_codec(const CodecChoice& choice) {
  const unsigned level = is_model_jpeg(choice) ? 0 : choice.quality;
  return static_cast<std::uint8_t>(static_cast<unsigned>(choice.codec) | level << 4);
}
// REQUIRES: pack_codec() made it of a codec of tensors.
[[nodiscard]] constexpr CodecChoice unpack_codec(std::uint8_t packed) {
  return {.codec = static_cast<fbs::Codec>(packed & 0x0F),
          .quality = static_cast<std::uint8_t>(packed >> 4)};
}
static_assert(static_cast<unsigned>(fbs::Codec::MAX) < 16);

// Whether every bit comes back.
[[nodiscard]] inline bool is_exact(fbs::Codec codec) {
  return codec == fbs::Codec::Raw || codec == fbs::Codec::Lossless;
}

}  // namespace cleave::agent
