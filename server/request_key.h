// SPDX-License-Identifier: Apache-2.0
//
// By what a request is known again when its agent resends it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "schemas/generated/wire_generated.h"
#include "schemas/sha256.h"

namespace cleave::server {

struct RequestKey {
  std::string device;
  std::uint64_t request_id = 0;
  auto operator<=>(const RequestKey&) const = default;
};

// What a resend has in common with its original.
struct RequestShape {
  Sha256Digest model{};
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;
  std::uint64_t attachment_bytes = 0;
  bool operator==(const RequestShape&) const = default;
};

}  // namespace cleave::server
