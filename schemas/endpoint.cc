// SPDX-License-Identifier: Apache-2.0
#include "schemas/endpoint.h"

#include <charconv>

namespace cleave {
namespace {

Status bad_endpoint(std::string_view text) {
  return {StatusCode::kInvalidArgument,
          "'" + std::string(text) + "' is not an address; write HOST:PORT or [IPV6]:PORT"};
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint;
  endpoint.port = kDefaultPort;
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad_endpoint(text);
    endpoint.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else {
    const std::size_t colon = text.find(':');
    // A bare IPv6 address has several colons: which one starts the port would be a guess.
    if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
      return bad_endpoint(text);
    }
    endpoint.host = text.substr(0, colon);
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  if (endpoint.host.empty() || endpoint.host.size() > 255) return bad_endpoint(text);
  if (rest.empty()) return endpoint;
  if (rest.front() != ':' || !parse_port(rest.substr(1), endpoint.port)) return bad_endpoint(text);
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  const std::string port = std::to_string(endpoint.port);
  if (endpoint.host.find(':') != std::string::npos) return "[" + endpoint.host + "]:" + port;
  return endpoint.host + ":" + port;
}

}  // namespace cleave
