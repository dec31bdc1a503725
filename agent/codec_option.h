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

// Whether every bit comes back.
[[nodiscard]] inline bool is_exact(fbs::Codec codec) {
  return codec == fbs::Codec::Raw || codec == fbs::Codec::Lossless;
}

}  // namespace cleave::agent
