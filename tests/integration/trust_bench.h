// SPDX-License-Identifier: Apache-2.0
//
// What agent and server are given that trust each other by certificates or tokens.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/program_words.h"
#include "tests/support/programs.h"

namespace cleave::test {

using Words = std::vector<std::string>;

// A CA, a server's certificate and a device's, a model and a picture.
struct TrustBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  std::string picture = workshop.jpeg("picture.jpg", 1);

  TrustBench() {
    tool({"init"});
    tool({"server", "127.0.0.1", "localhost"});
    tool({"device", "gate 2"});
  }
  void tool(const Words& arguments, const std::string& folder = "ca") const {
    const Finished made = run_program(
        Words{"bash", "toolchains/cleave-ca.sh", "--dir", workshop.path(folder)} + arguments);
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return workshop.path("ca/" + name);
  }
  [[nodiscard]] Words server_options() const {
    return {"--json",    "--no-cache",          "--tls-cert", file("127.0.0.1.crt"),
            "--tls-key", file("127.0.0.1.key"), "--tls-ca",   file("ca.crt"),
            "--tls-crl", file("crl.pem")};
  }
  [[nodiscard]] Words device(const std::string& name = "gate_2") const {
    return {"--tls-ca",          file("ca.crt"), "--tls-cert",
            file(name + ".crt"), "--tls-key",    file(name + ".key")};
  }
  [[nodiscard]] AgentRun ask(const std::string& server, const Words& options) const {
    return run_agent(
        Words{"run", "--model", model, "--server", server, "--split", "3", "--json", "--no-cache"} +
        options + Words{picture});
  }
};

}  // namespace cleave::test
