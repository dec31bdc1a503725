// SPDX-License-Identifier: Apache-2.0
//
// What the codecs of boundary tensors are called on the command line, in records and in traces.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/codec/boundary_codec.h"
#include "schemas/generated/wire_generated.h"

namespace cleave::agent {

// "raw", "lossless", "f16", "int8", or "coded:N" with its level. REQUIRES: one of these codecs.
[[nodiscard]] std::string codec_name(const CodecChoice& choice);

// The reverse, "coded" being "coded:0"; nothing for another name.
[[nodiscard]] std::optional<CodecChoice> find_codec(std::string_view name);

// What find_codec() reads, for a person.
[[nodiscard]] std::string codec_names();

// As --codec and records have it when split and codec are chosen together.
inline constexpr std::string_view kCodecAuto = "auto";

// A codec with its level in the one number that the planner library has for it; of codecs without
// levels it is their number on the wire.
[[nodiscard]] constexpr std::uint8_t pack_codec(const CodecChoice& choice) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(choice.codec) |
                                   static_cast<unsigned>(choice.quality) << 4);
}
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
