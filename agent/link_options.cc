// SPDX-License-Identifier: Apache-2.0
//
// What secures the connection to a server, as the command line says it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "agent/command_options.h"
#include "schemas/secret_file.h"

namespace cleave::agent {
namespace {

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "agent";
  return name;
}

// Where an address was given, the answer does not wait for the connection.
Status check_address(const LinkSecurity& security, const Endpoint& server) {
  error_code not_an_address;
  const auto address = asio::ip::make_address(server.host, not_an_address);
  if (not_an_address) return Status::ok();
  const tcp::endpoint endpoint(address, server.port);
  const Status exposed = check_exposure(security, {&endpoint, 1});
  if (exposed.is_ok()) return exposed;
  return {StatusCode::kInvalidArgument, exposed.message()};
}

}  // namespace

void add_link_options(CLI::App& command, CommandOptions& options) {
  const auto add_file = [&](const char* name, std::string& path, const char* help) {
    command.add_option(name, path, help)->type_name("FILE");
  };
  add_file("--tls-ca", options.tls.ca,
           "CA of the server's certificate, in PEM: the connection is TLS 1.3");
  add_file("--tls-cert", options.tls.certificate, "This device's certificate, in PEM");
  add_file("--tls-key", options.tls.key, "Its private key; a file that others may read is refused");
  add_file("--tls-crl", options.tls.crl,
           "Lists of revoked certificates, of every CA between the server's and --tls-ca");
  command.add_option(
      "--tls-name", options.tls_name,
      "Name that the server's certificate must have (default: as --server calls it)");
  add_file("--token-file", options.token_file,
           "This device's token, instead of a certificate; a file that others may read is refused");
  command.add_flag("--allow-plain", options.allow_plain,
                   "Talk to another machine without TLS: everybody in between may read and change "
                   "it all");
}

Status secure_connection(const CommandOptions& options, ConnectionOptions& connection) {
  LinkSecurity& security = connection.security;
  security.server_name = options.tls_name;
  security.token_file = options.token_file;
  security.allow_plain = options.allow_plain;
  if (options.tls.any()) {
    CLEAVE_ASSIGN_OR_RETURN(security.tls, TlsCredentials::load(options.tls, TlsRole::kAgent));
  }
  // Better now than at the first picture.
  CLEAVE_RETURN_IF_ERROR(token_of(security).status());
  CLEAVE_RETURN_IF_ERROR(check_address(security, connection.server));
  const std::string certified = security.tls == nullptr ? "" : security.tls->current()->own_name();
  connection.device = options.device;
  if (connection.device.empty()) connection.device = certified;
  if (connection.device.empty()) connection.device = host_name();
  if (!certified.empty() && connection.device != certified) {
    return {StatusCode::kInvalidArgument, "--device is " + connection.device +
                                              ", and the certificate is of " + certified +
                                              ": leave --device out"};
  }
  return Status::ok();
}

}  // namespace cleave::agent
