// SPDX-License-Identifier: Apache-2.0
//
// Agent and server over TLS with what toolchains/cleave-ca.sh makes, as their owner runs them; and
// strangers, real tools among them, that must stay outside.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "schemas/exit_code.h"
#include "tests/integration/trust_bench.h"
#include "tests/server/raw_client.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

using nlohmann::json;

json stop(RunningServer& server) {
  server.program().signal(SIGTERM);
  const std::string line = server.program().read_line();
  CHECK(server.program().wait() == 0);
  return json::parse(line);
}

bool served(const AgentRun& run) {
  return run.exit_code == 0 && run.records.size() == 1 && !run.records[0].contains("fallback");
}

void check_kept_out(const AgentRun& run, ExitCode code, const std::string& word) {
  CAPTURE(run.err);
  CAPTURE(word);
  CHECK(run.exit_code == static_cast<int>(code));
  const std::string said = run.err + (run.records.empty() ? "" : run.records[0].dump());
  CAPTURE(said);
  CHECK(said.find(word) != std::string::npos);
}

// The server is not believed, or does not believe the device, for now: the device does it alone.
void check_alone(const AgentRun& run, const std::string& word) {
  CAPTURE(run.err);
  REQUIRE(run.records.size() == 1);
  const std::string said = run.records[0].dump();
  CAPTURE(said);
  CHECK(run.exit_code == 0);
  CHECK(run.records[0].contains("fallback"));
  CHECK(said.find(word) != std::string::npos);
}

}  // namespace

TEST_CASE("mutual TLS: the same answer as over plain TCP, under the certificate's name") {
  const TrustBench bench;
  RunningServer plain({bench.model}), server({bench.model}, bench.server_options());
  const AgentRun expected = bench.ask(plain.address(), {});
  REQUIRE(served(expected));
  const AgentRun run = bench.ask(server.address(), bench.device());
  REQUIRE_MESSAGE(served(run), run.err);
  CHECK(run.records[0].at("top") == expected.records[0].at("top"));
  CHECK(served(bench.ask("localhost:" + std::to_string(server.port()), bench.device())));
  const std::string folder = bench.workshop.path("fetched");
  const AgentRun fetched = run_agent(Words{"fetch", "--server", server.address(), "--name",
                                           "mobilenet_v2", "--output", folder, "--json"} +
                                     bench.device());
  CHECK_MESSAGE(fetched.exit_code == 0, fetched.err);
  const json stopped = stop(server);
  CHECK(stopped.at("tls_handshakes") == 3);
  CHECK(stopped.at("tls_failed") == 0);
  CHECK(stopped.at("sessions") == 3);
}

TEST_CASE("a token instead of a certificate") {
  const TrustBench bench;
  bench.tool({"token", "cam 1"});
  bench.tool({"token", "cam 2"});
  RunningServer server({bench.model},
                       bench.server_options() + Words{"--tokens", bench.file("tokens")});
  const Words base{"--tls-ca", bench.file("ca.crt"), "--token-file"};
  const Words as_cam_1 = base + Words{bench.file("cam_1.token"), "--device", "cam 1"};
  const Words as_other = base + Words{bench.file("cam_2.token"), "--device", "cam 1"};
  CHECK(served(bench.ask(server.address(), as_cam_1)));
  check_kept_out(bench.ask(server.address(), as_other), ExitCode::kModelMismatch, "token");
  const Words open_token = base + Words{bench.workshop.file("t", std::string(40, 'x'))};
  check_kept_out(bench.ask(server.address(), open_token), ExitCode::kUsage, "chmod 600");
  check_kept_out(bench.ask("192.0.2.1", {"--token-file", bench.file("cam_1.token")}),
                 ExitCode::kUsage, "--tls-ca");
  CHECK(stop(server).at("unauthorized") == 1);
}

TEST_CASE("devices and servers that are not trusted: exit code and reason at the agent, counted") {
  const TrustBench bench;
  bench.tool({"--days", "-2", "device", "old"});
  bench.tool({"device", "stolen"});
  bench.tool({"revoke", "stolen"});
  bench.tool({"init", "their CA"}, "theirs");
  bench.tool({"device", "gate 2"}, "theirs");
  RunningServer server({bench.model}, bench.server_options());
  const std::string at = server.address();
  const ExitCode refused = ExitCode::kModelMismatch;
  check_alone(bench.ask(at, bench.device("old")), "expired");
  check_kept_out(bench.ask(at, bench.device("stolen")), refused, "revoked");
  const std::string theirs = bench.workshop.path("theirs/");
  check_kept_out(bench.ask(at, {"--tls-ca", bench.file("ca.crt"), "--tls-cert",
                                theirs + "gate_2.crt", "--tls-key", theirs + "gate_2.key"}),
                 refused, "of no CA that it trusts");
  check_kept_out(bench.ask(at, {"--tls-ca", bench.file("ca.crt")}), refused, "got none");
  const AgentRun stranger = bench.ask(at, {"--tls-ca", theirs + "ca.crt"});
  check_alone(stranger, "of no CA that is trusted here");
  CHECK(stranger.err.find("not trusted, and tried again later") != std::string::npos);
  check_alone(bench.ask(at, bench.device() + Words{"--tls-name", "elsewhere"}), "another name");
  check_kept_out(bench.ask(at, bench.device() + Words{"--device", "gate 3"}), ExitCode::kUsage,
                 "--device");
  RunningServer plain({bench.model});
  check_alone(bench.ask(plain.address(), bench.device()), "does not speak TLS");
  const AgentRun bare = bench.ask(at, {});
  CHECK_FALSE(served(bare));  // the device does it alone
  const json stopped = stop(server);
  CHECK(stopped.at("sessions") == 0);
  CHECK(stopped.at("tls_expired") == 1);
  CHECK(stopped.at("tls_revoked") == 1);
  CHECK(stopped.at("tls_unknown_issuer") == 1);
  CHECK(stopped.at("tls_no_certificate") == 1);
  CHECK(stopped.at("tls_refused_by_peer").get<int>() >= 1);
  CHECK(stopped.at("tls_failed").get<int>() >= 7);
}

TEST_CASE("a stranger in the server's place: where nothing can be answered, exit code 6 says so") {
  const TrustBench bench;
  RunningServer server({bench.model}, bench.server_options());
  const std::string folder = bench.workshop.path("head");
  const Words fetch = Words{"fetch",    "--server", server.address(), "--name", "mobilenet_v2",
                            "--output", folder,     "--split",        "3",      "--json"};
  const Words misled = bench.device() + Words{"--tls-name", "elsewhere"};
  check_kept_out(run_agent(fetch + misled), ExitCode::kModelMismatch, "another name");
  const AgentRun fetched = run_agent(fetch + bench.device());
  REQUIRE_MESSAGE(fetched.exit_code == 0, fetched.err);
  const Words ask = Words{"run",     "--model", folder,   "--server",   server.address(),
                          "--split", "3",       "--json", "--no-cache", bench.picture};
  check_kept_out(run_agent(ask + misled), ExitCode::kModelMismatch, "another name");
  CHECK(served(run_agent(ask + bench.device())));
  const Words plan{"plan", "--model", bench.model, "--server", server.address(), "--json"};
  check_kept_out(run_agent(plan + misled), ExitCode::kModelMismatch, "another name");
  // With a spool it waits for the right one.
  const std::string spool = bench.workshop.path("spool");
  const Words kept{"--results", bench.workshop.path("results.jsonl"), "--spool", spool};
  const AgentRun waiting = run_agent(ask + misled + kept);
  CHECK(waiting.exit_code == static_cast<int>(ExitCode::kServerUnreachable));
  CHECK(waiting.err.find("1 wait in the spool") != std::string::npos);
  const AgentRun later = run_agent(Words{"run", "--model", folder, "--server", server.address(),
                                         "--split", "3", "--json", "--no-cache"} +
                                   bench.device() + kept);
  CHECK_MESSAGE(later.exit_code == 0, later.err);
  CHECK(served(later));
}

TEST_CASE("plain TCP to another machine is asked for by name") {
  const TrustBench bench;
  check_kept_out(bench.ask("192.0.2.1:7433", {}), ExitCode::kUsage, "--allow-plain");
  const AgentRun warned =
      bench.ask("192.0.2.1:7433", {"--allow-plain", "--timeout", "300ms", "--log", "-"});
  CHECK(warned.err.find("everybody in between may read") != std::string::npos);
  CHECK(warned.err.find("\"event\":\"unencrypted\"") != std::string::npos);
  const auto serve = [&](const Words& options) {
    return run_program(Words{server_program(), "--model", bench.model, "--no-cache"} + options, {},
                       std::chrono::seconds(30));
  };
  const Finished exposed = serve({"--listen", "0.0.0.0:0"});
  CHECK(exposed.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(exposed.err.find("--allow-plain") != std::string::npos);
  const Finished open =
      serve({"--tls-cert", bench.file("127.0.0.1.crt"), "--tls-key", bench.file("127.0.0.1.key")});
  CHECK(open.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(open.err.find("--tls-ca") != std::string::npos);
}

TEST_CASE("a key that others may read is not used, and none is ever shown") {
  const TrustBench bench;
  const std::string key = bench.file("127.0.0.1.key");
  const std::string secret = read_whole(key);
  const std::string first_line = secret.substr(secret.find('\n') + 1, 40);
  REQUIRE(chmod(key.c_str(), 0644) == 0);
  const Finished run =
      run_program(Words{server_program(), "--model", bench.model, "--log-level", "debug"} +
                      bench.server_options(),
                  {}, std::chrono::seconds(30));
  CHECK(run.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(run.err.find(key) != std::string::npos);
  CHECK(run.err.find("chmod 600") != std::string::npos);
  CHECK((run.err + run.out).find(first_line) == std::string::npos);
  const std::string device_key = bench.file("gate_2.key");
  REQUIRE(chmod(device_key.c_str(), 0604) == 0);
  check_kept_out(bench.ask("127.0.0.1:1", bench.device()), ExitCode::kUsage, device_key);
}

TEST_CASE("SIGHUP: the revoked are out at once, a renewed certificate is shown, the rest goes on") {
  const TrustBench bench;
  bench.tool({"device", "stolen"});
  RunningServer server({bench.model}, bench.server_options());
  const std::string at = server.address();
  CHECK(served(bench.ask(at, bench.device("stolen"))));
  const auto s_client = [&] {
    return run_program({"sh", "-c",
                        "echo | openssl s_client -connect " + at + " -CAfile " +
                            bench.file("ca.crt") + " 2>/dev/null | openssl x509 -noout -serial"});
  };
  const std::string before = s_client().out;
  CHECK(before.find("serial=") == 0);
  bench.tool({"revoke", "stolen"});
  CHECK(served(bench.ask(at, bench.device("stolen"))));  // not read yet
  bench.tool({"server", "127.0.0.1", "localhost"});
  server.program().signal(SIGHUP);
  std::string after = before;
  for (int i = 0; i < 200 && after == before; ++i) after = s_client().out;
  CHECK(after != before);
  check_kept_out(bench.ask(at, bench.device("stolen")), ExitCode::kModelMismatch, "revoked");
  CHECK(served(bench.ask(at, bench.device())));
  // What cannot be used changes nothing.
  std::ofstream(bench.file("crl.pem")) << "spoiled";
  server.program().signal(SIGHUP);
  CHECK(served(bench.ask(at, bench.device())));
  const json stopped = stop(server);
  CHECK(stopped.at("reloads") == 2);
  CHECK(stopped.at("reload_errors") == 1);
}

TEST_CASE("openssl s_client: TLS 1.3 with a certificate, nothing older and nobody without") {
  const TrustBench bench;
  RunningServer server({bench.model}, bench.server_options());
  const auto s_client = [&](const std::string& options) {
    const Finished run =
        run_program({"sh", "-c",
                     "(sleep 0.3; echo x) | openssl s_client -connect " + server.address() +
                         " -CAfile " + bench.file("ca.crt") +
                         " -verify_return_error -verify_ip 127.0.0.1 " + options + " 2>&1"});
    return run.out;
  };
  const std::string certificate =
      "-cert " + bench.file("gate_2.crt") + " -key " + bench.file("gate_2.key");
  const std::string good = s_client(certificate);
  CHECK(good.find("TLSv1.3") != std::string::npos);
  CHECK(good.find("Verification: OK") != std::string::npos);
  CHECK(good.find("alert") == std::string::npos);
  CHECK(good.find("Early data was not sent") != std::string::npos);
  CHECK(good.find("session ticket") == std::string::npos);
  CHECK(s_client(certificate + " -tls1_2").find("alert protocol version") != std::string::npos);
  // Its handshake is over before the server's word comes: it must not go with the end of its input.
  CHECK(s_client("-ign_eof").find("certificate required") != std::string::npos);
  const json stopped = stop(server);
  CHECK(stopped.at("sessions") == 0);
  CHECK(stopped.at("tls_handshakes") == 1);
  CHECK(stopped.at("tls_version") == 1);
  CHECK(stopped.at("tls_no_certificate") == 1);
}

TEST_CASE("captures of a session, replayed whole, cut short or changed, open nothing") {
  const TrustBench bench;
  RunningServer server({bench.model}, bench.server_options());
  TcpRelay relay(server.port());
  REQUIRE(served(bench.ask(relay.address(), bench.device())));
  const std::vector<std::byte> capture = relay.recorded();
  REQUIRE(capture.size() > 1'000);
  // The model's name and the device's are not in it, nor is the frames' magic.
  const std::string text(reinterpret_cast<const char*>(capture.data()), capture.size());
  for (const char* word : {"gate 2", "mobilenet", "CLVF"}) {
    CHECK(text.find(word) == std::string::npos);
  }
  std::mt19937 random(7);
  for (int i = 0; i < 30; ++i) {
    std::vector<std::byte> bytes = capture;
    if (i % 3 == 1) bytes.resize(random() % bytes.size());
    if (i % 3 == 2) bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 + random() % 255);
    const RawClient replayer(server.port());
    (void)replayer.send(bytes);  // the server may close meanwhile
    replayer.end_sending();
    REQUIRE(replayer.receive_to_end().has_value());
  }
  CHECK(served(bench.ask(server.address(), bench.device())));
  CHECK(stop(server).at("sessions") == 2);
}

TEST_CASE(
    "bytes that are changed under way are noticed, and the picture is answered all the same") {
  const TrustBench bench;
  RunningServer server({bench.model}, bench.server_options());
  TcpRelay relay(server.port());
  const AgentRun undisturbed = bench.ask(relay.address(), bench.device());
  REQUIRE(served(undisturbed));
  const auto bytes = static_cast<std::int64_t>(relay.recorded().size());
  for (const std::int64_t offset : {std::int64_t{3}, std::int64_t{200}, bytes - 400}) {
    relay.flip_byte_at(offset);
    const AgentRun run = bench.ask(relay.address(), bench.device());
    relay.flip_byte_at(-1);
    CAPTURE(offset);
    CAPTURE(run.err);
    REQUIRE(run.exit_code == 0);
    CHECK(run.records[0].at("top") == undisturbed.records[0].at("top"));
  }
  // Each of them ended a connection: none was taken for what was sent.
  const json stopped = stop(server);
  const int refused = stopped.at("tls_failed").get<int>();
  const int broken = stopped.at("sessions").get<int>() - stopped.at("answers").get<int>();
  CHECK(refused + broken >= 3);
}

}  // namespace cleave::test
