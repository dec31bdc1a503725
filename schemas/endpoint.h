// SPDX-License-Identifier: Apache-2.0
//
// How a network address is written on every command line and in every configuration file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/status.h"

namespace cleave {

struct Endpoint {
  std::string host;  // name, IPv4 or IPv6 address without brackets
  std::uint16_t port = 0;
};

inline constexpr std::uint16_t kDefaultPort = 7433;

// Reads HOST:PORT, HOST, [IPV6]:PORT or [IPV6]; the port is kDefaultPort when left out.
// Port 0 is allowed (a listener then takes any free one). Errors: kInvalidArgument with the form.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

// HOST:PORT, with brackets around an IPv6 address.
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

}  // namespace cleave
