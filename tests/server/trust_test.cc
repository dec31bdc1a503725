// SPDX-License-Identifier: Apache-2.0
//
// A server that does not believe everybody: who gets a Welcome, what the others are told, what is
// counted, and what a reload does to those who are there.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "server/token_table.h"
#include "tests/server/half_handshake.h"
#include "tests/server/session_fixture.h"
#include "tests/server/tls_client.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

using Context = std::shared_ptr<const TlsContext>;

void write_secret(const std::string& path, const std::string& content) {
  std::ofstream(path + ".new") << content;
  REQUIRE(chmod((path + ".new").c_str(), 0600) == 0);
  REQUIRE(rename((path + ".new").c_str(), path.c_str()) == 0);
}

std::string token_line(std::string_view token, std::string_view device) {
  return to_hex(*server::token_hash(token)) + " " + std::string(device) + "\n";
}

const std::string kToken(40, 't');

// CA, a server's certificate, tokens; and a server with them.
struct Trusting {
  TemporaryFolder folder;
  TestAuthority authority{folder.path().string(), "ours"};
  server::TrustOptions trust;

  Trusting() {
    trust.tls = authority.issue("server", {.name = "server", .sans = {"IP:127.0.0.1"}});
  }
  Trusting& demand_certificates() {
    trust.tls.ca = authority.file();
    return *this;
  }
  Trusting& with_list() {
    trust.tls.crl = authority.write_list("crl");
    return *this;
  }
  Trusting& with_tokens(const std::string& content) {
    trust.tokens = folder / "tokens";
    write_secret(trust.tokens, content);
    return *this;
  }
  [[nodiscard]] std::function<void(server::ServerOptions&)> options() const {
    return [this](server::ServerOptions& options) { options.trust = trust; };
  }
  Context device(const std::string& name) {
    TlsFiles files = authority.issue(name, {.name = name, .sans = {}});
    return load(files);
  }
  Context nobody() { return load({}); }
  Context load(TlsFiles files) {
    files.ca = authority.file();
    auto context = TlsContext::load(files, TlsRole::kAgent);
    REQUIRE_MESSAGE(context.is_ok(), context.status().message());
    return std::move(context).value();
  }
};

FrameBytes hello(const Fixture& fixture, std::string_view device, std::string_view token = "") {
  return make_hello({.device = device, .model_identity = fixture.identity(), .token = token});
}

std::string refusal(TlsClient& client, const FrameBytes& hello) {
  REQUIRE(client.send(hello));
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  if (reply->message_as_Welcome() != nullptr) return "";
  const fbs::Error* error = reply->message_as_Error();
  REQUIRE(error != nullptr);
  CHECK(error->code() == fbs::ErrorCode::Unauthorized);
  CHECK(error->request_id() == 0);
  return error->text()->str();
}

void reload(Fixture& fixture, bool good = true) {
  fixture.server.on_network_thread(
      [&] { CHECK(fixture.server.server().reload_credentials().is_ok() == good); });
}

}  // namespace

TEST_CASE("a device is who its certificate says") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().options());
  TlsClient honest(fixture.server.port(), trusting.device("gate 2"));
  CHECK(refusal(honest, hello(fixture, "gate 2")) == "");
  TlsClient liar(fixture.server.port(), trusting.device("gate 3"));
  CHECK(refusal(liar, hello(fixture, "gate 2")).find("another device") != std::string::npos);
  TlsClient bare(fixture.server.port(), trusting.nobody());
  bare.receive_to_end();
  CHECK(bare.error() == TlsError::kCertificateDemanded);
  const auto stats = fixture.server.stop();
  CHECK(stats.tls_handshakes == 2);
  CHECK(stats.sessions == 1);
  CHECK(stats.unauthorized == 1);
  CHECK(stats.tls_failed == 1);
  CHECK(stats.tls_no_certificate == 1);
}

TEST_CASE("a request over TLS is answered as over plain TCP") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().options());
  TlsClient client(fixture.server.port(), trusting.device("gate 2"));
  CHECK(refusal(client, hello(fixture, "gate 2")) == "");
  const auto tensors = fixture.boundary(2, 5);
  REQUIRE(client.send(make_request({.request_id = 9, .cut = 2}, tensors.size() * sizeof(float))));
  REQUIRE(client.send(std::as_bytes(std::span(tensors))));
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_as_Answer() != nullptr);
  CHECK(scores_of(*reply->message_as_Answer()) == fixture.expected(2, tensors));
}

TEST_CASE("a token opens the server to its device alone, before anything is said of models") {
  Trusting trusting;
  Fixture fixture(trusting.with_tokens(token_line(kToken, "cam 1")).options());
  const auto say = [&](const FrameBytes& bytes) {
    TlsClient client(fixture.server.port(), trusting.nobody());
    REQUIRE_FALSE(client.error());
    return refusal(client, bytes);
  };
  CHECK(say(hello(fixture, "cam 1", kToken)) == "");
  const std::string unknown = say(hello(fixture, "cam 1", kToken + "t"));
  CHECK(unknown != "");
  CHECK(say(hello(fixture, "cam 2", kToken)) == unknown);
  CHECK(say(hello(fixture, "cam 1")) == "this server demands a token");
  // Who is not believed is not told which models there are, either.
  const ModelIdentity none{};
  CHECK(say(make_hello({.device = "x", .model_identity = none, .model_name = "y"})) ==
        "this server demands a token");
  CHECK(fixture.server.stop().unauthorized == 4);
}

TEST_CASE("with both, one of them is enough, and a certificate is not made good by a token") {
  Trusting trusting;
  Fixture fixture(
      trusting.demand_certificates().with_tokens(token_line(kToken, "cam 1")).options());
  TlsClient certified(fixture.server.port(), trusting.device("gate 2"));
  CHECK(refusal(certified, hello(fixture, "gate 2")) == "");
  TlsClient bearer(fixture.server.port(), trusting.nobody());
  CHECK(refusal(bearer, hello(fixture, "cam 1", kToken)) == "");
  TlsClient both(fixture.server.port(), trusting.device("gate 3"));
  CHECK(refusal(both, hello(fixture, "cam 1", kToken)) != "");
}

TEST_CASE("after a reload the revoked are gone, and the others stay") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().with_list().options());
  TlsClient good(fixture.server.port(), trusting.device("good"));
  CHECK(refusal(good, hello(fixture, "good")) == "");
  const Context lost = trusting.device("lost");
  TlsClient bad(fixture.server.port(), lost);
  CHECK(refusal(bad, hello(fixture, "lost")) == "");
  trusting.authority.revoke_last();
  trusting.with_list();
  reload(fixture);
  const fbs::Envelope* last = bad.receive();
  REQUIRE(last != nullptr);
  REQUIRE(last->message_as_Error() != nullptr);
  CHECK(last->message_as_Error()->code() == fbs::ErrorCode::Unauthorized);
  CHECK(last->message_as_Error()->text()->str().find("revoked") != std::string::npos);
  bad.receive_to_end();
  CHECK(bad.error() == asio::error::eof);
  TlsClient again(fixture.server.port(), lost);
  again.receive_to_end();
  CHECK(again.error() == TlsError::kCertificateRevoked);
  REQUIRE(good.send(make_ping(3)));
  const fbs::Envelope* pong = good.receive();
  REQUIRE(pong != nullptr);
  CHECK(pong->message_as_Pong() != nullptr);
  const auto stats = fixture.stats();
  CHECK(stats.distrusted == 1);
  CHECK(stats.tls_revoked == 1);
  CHECK(stats.reloads == 1);
  CHECK(stats.reload_errors == 0);
}

TEST_CASE("a token is replaced without a gap, and then the old one is out") {
  const std::string newer(40, 'n');
  Trusting trusting;
  Fixture fixture(trusting.with_tokens(token_line(kToken, "cam 1")).options());
  TlsClient old(fixture.server.port(), trusting.nobody());
  CHECK(refusal(old, hello(fixture, "cam 1", kToken)) == "");
  trusting.with_tokens(token_line(kToken, "cam 1") + token_line(newer, "cam 1"));
  reload(fixture);
  TlsClient changed(fixture.server.port(), trusting.nobody());
  CHECK(refusal(changed, hello(fixture, "cam 1", newer)) == "");
  REQUIRE(old.send(make_ping(1)));
  REQUIRE(old.receive() != nullptr);
  trusting.with_tokens(token_line(newer, "cam 1"));
  reload(fixture);
  const fbs::Envelope* last = old.receive();
  REQUIRE(last != nullptr);
  REQUIRE(last->message_as_Error() != nullptr);
  CHECK(last->message_as_Error()->code() == fbs::ErrorCode::Unauthorized);
  REQUIRE(changed.send(make_ping(1)));
  REQUIRE(changed.receive() != nullptr);
  CHECK(fixture.stats().distrusted == 1);
}

TEST_CASE("a reload that fails changes nothing") {
  Trusting trusting;
  Fixture fixture(
      trusting.demand_certificates().with_tokens(token_line(kToken, "cam 1")).options());
  write_secret(trusting.trust.tokens, "no table\n");
  reload(fixture, /*good=*/false);
  TlsClient bearer(fixture.server.port(), trusting.nobody());
  CHECK(refusal(bearer, hello(fixture, "cam 1", kToken)) == "");
  // Also what can be read of it: the new tokens wait for a key that can be used.
  write_secret(trusting.trust.tokens, token_line(std::string(40, 'n'), "cam 1"));
  write_secret(trusting.trust.tls.key, "no key\n");
  reload(fixture, /*good=*/false);
  TlsClient again(fixture.server.port(), trusting.nobody());
  CHECK(refusal(again, hello(fixture, "cam 1", kToken)) == "");
  CHECK(fixture.stats().reload_errors == 2);
}

TEST_CASE("who was revoked while it shook hands is not let in") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().with_list().options());
  const Context lost = trusting.device("lost");
  HalfHandshake half(fixture.server.port(), lost);
  trusting.authority.revoke_last();
  trusting.with_list();
  reload(fixture);
  half.finish();
  fixture.await_stats([](const auto& stats) { return stats.tls_revoked == 1; });
  CHECK(half.closed());
  CHECK(fixture.stats().sessions == 0);
}

TEST_CASE("who is put out gets nothing any more of what was under way") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().with_list().options());
  TlsClient bad(fixture.server.port(), trusting.device("lost"));
  CHECK(refusal(bad, hello(fixture, "lost")) == "");
  // Its attachment is still on its way.
  const auto tensors = fixture.boundary(2, 5);
  const auto bytes = std::as_bytes(std::span(tensors));
  REQUIRE(bad.send(make_request({.request_id = 9, .cut = 2}, bytes.size())));
  REQUIRE(bad.send(bytes.first(bytes.size() / 2)));
  fixture.await_stats([](const auto& stats) { return stats.requests == 1; });
  trusting.authority.revoke_last();
  trusting.with_list();
  reload(fixture);
  (void)bad.send(bytes.subspan(bytes.size() / 2));
  const fbs::Envelope* last = bad.receive();
  REQUIRE(last != nullptr);
  REQUIRE(last->message_as_Error() != nullptr);
  CHECK(last->message_as_Error()->code() == fbs::ErrorCode::Unauthorized);
  bad.receive_to_end();
  CHECK(fixture.server.stop().answers == 0);
}

TEST_CASE("who is put out after a Goodbye is not answered either") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().with_list().options());
  HeldWorker worker(fixture.server.tail_pool());
  TlsClient bad(fixture.server.port(), trusting.device("lost"));
  CHECK(refusal(bad, hello(fixture, "lost")) == "");
  const auto tensors = fixture.boundary(2, 5);
  const auto bytes = std::as_bytes(std::span(tensors));
  REQUIRE(bad.send(make_request({.request_id = 9, .cut = 2}, bytes.size())));
  REQUIRE(bad.send(bytes));
  REQUIRE(bad.send(make_goodbye("done")));
  fixture.await_stats([](const auto& stats) { return stats.requests == 1; });
  std::this_thread::sleep_for(milliseconds(100));  // for the Goodbye, of which nothing is seen
  trusting.authority.revoke_last();
  trusting.with_list();
  reload(fixture);
  worker.release();
  const fbs::Envelope* last = bad.receive();
  REQUIRE(last != nullptr);
  REQUIRE(last->message_as_Error() != nullptr);
  CHECK(last->message_as_Error()->code() == fbs::ErrorCode::Unauthorized);
  bad.receive_to_end();
  const auto stats = fixture.server.stop();
  CHECK(stats.answers == 0);
  CHECK(stats.distrusted == 1);
}

TEST_CASE("what ends soon is said again and again, not only at the start") {
  Trusting trusting;
  Fixture fixture([&](server::ServerOptions& options) {
    options.trust = trusting.demand_certificates().trust;
    options.expiry_check = milliseconds(10);
  });
  fixture.await_stats([](const auto& stats) { return stats.expiry_warnings >= 3; });
}

TEST_CASE("bytes that are no TLS end that connection, counted, and no other") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().options());
  const std::uint16_t port = fixture.server.port();
  {
    const RawClient browser(port), plain_agent(port), scanner(port), gone(port);
    REQUIRE(browser.send_text("GET / HTTP/1.1\r\n\r\n"));
    REQUIRE(plain_agent.send(hello(fixture, "gate 2")));
    std::vector<std::byte> noise(5'000);
    std::mt19937 random(3);
    for (auto& byte : noise) byte = static_cast<std::byte>(random());
    REQUIRE(scanner.send(noise));
    for (const RawClient* each : {&browser, &plain_agent, &scanner}) {
      each->end_sending();
      // At most an alert: nothing of the protocol, nothing of the models.
      const auto said = each->receive_to_end();
      REQUIRE(said.has_value());
      CHECK(said->size() <= 7);
    }
  }
  fixture.await_stats([](const auto& stats) { return stats.tls_failed == 4; });
  TlsClient honest(port, trusting.device("gate 2"));
  CHECK(refusal(honest, hello(fixture, "gate 2")) == "");
  const auto stats = fixture.server.stop();
  CHECK(stats.tls_not_tls >= 2);
  CHECK(stats.tls_not_tls + stats.tls_broken == 4);
  CHECK(stats.sessions == 1);
}

TEST_CASE("who begins TLS and then is silent is dropped as any other handshake") {
  Trusting trusting;
  Fixture fixture([&](server::ServerOptions& options) {
    options.trust = trusting.demand_certificates().trust;
    options.handshake_timeout = milliseconds(2'000);
  });
  TlsClient quiet(fixture.server.port(), trusting.device("gate 2"));  // shakes hands, no Hello
  REQUIRE_FALSE(quiet.error());
  RawClient silent(fixture.server.port()), half(fixture.server.port());
  REQUIRE(half.send_text(std::string("\x16\x03\x01\x00\x80", 5)));
  CHECK(silent.closed_within(5'000));
  CHECK(half.closed_within(5'000));
  quiet.receive_to_end();
  fixture.await_stats([](const auto& stats) { return stats.handshake_timeouts == 3; });
  CHECK(fixture.server.stop().tls_failed == 0);
}

TEST_CASE("an orderly end reaches agents over TLS, and those that still shake hands") {
  Trusting trusting;
  Fixture fixture(trusting.demand_certificates().options());
  TlsClient client(fixture.server.port(), trusting.device("gate 2"));
  CHECK(refusal(client, hello(fixture, "gate 2")) == "");
  RawClient shaking(fixture.server.port());
  fixture.await_stats([](const auto& stats) { return stats.connections == 2; });
  fixture.server.begin_shutdown();
  const fbs::Envelope* last = client.receive();
  REQUIRE(last != nullptr);
  CHECK(last->message_as_Goodbye() != nullptr);
  CHECK(shaking.closed_within(5'000));
}

TEST_CASE("plain TCP beyond loopback, and TLS that lets everybody in, are refused at the start") {
  const Fixture fixture;
  Trusting trusting;
  const auto listen = [&](const server::TrustOptions& trust, const std::string& where) {
    server::asio::io_context io;
    server::ServerOptions options;
    options.trust = trust;
    options.listen = where;
    server::Server server(io, fixture.server.models(), options);
    return server.listen();
  };
  CHECK(listen({}, "0.0.0.0:0").code() == StatusCode::kInvalidArgument);
  CHECK(listen({.tls = {}, .tokens = "", .allow_plain = true}, "0.0.0.0:0").is_ok());
  CHECK(listen(trusting.trust, "127.0.0.1:0").code() == StatusCode::kInvalidArgument);
  trusting.with_tokens(token_line(kToken, "cam 1"));
  CHECK(listen(trusting.trust, "0.0.0.0:0").is_ok());
  // A token that everybody may read is none.
  server::TrustOptions bare{.tls = {}, .tokens = trusting.trust.tokens, .allow_plain = true};
  CHECK(listen(bare, "0.0.0.0:0").code() == StatusCode::kInvalidArgument);
  CHECK(listen(bare, "127.0.0.1:0").is_ok());
  trusting.trust.tls.key = trusting.folder / "none";
  CHECK(listen(trusting.trust, "127.0.0.1:0").code() == StatusCode::kNotFound);
}

}  // namespace cleave::test
