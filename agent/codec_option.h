// SPDX-License-Identifier: Apache-2.0
//
// What the codecs of boundary tensors are called on the command line, in records and in traces.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/generated/wire_generated.h"

namespace cleave::agent {

// "raw", "lossless", "f16" or "int8". REQUIRES: one of these codecs.
[[nodiscard]] const char* boundary_codec_name(fbs::Codec codec);

// The reverse; nothing for another name.
[[nodiscard]] std::optional<fbs::Codec> find_boundary_codec(std::string_view name);

// All of them.
[[nodiscard]] std::vector<std::string> boundary_codec_names();

// Whether every bit comes back.
[[nodiscard]] inline bool is_exact(fbs::Codec codec) {
  return codec == fbs::Codec::Raw || codec == fbs::Codec::Lossless;
}

}  // namespace cleave::agent
