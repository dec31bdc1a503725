// SPDX-License-Identifier: Apache-2.0
//
// Floods from one address over TLS, where an attempt that is let in costs the one network thread a
// handshake; an agent at another address is answered all the while.
#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/flood.h"
#include "tests/server/session_fixture.h"
#include "tests/server/tls_client.h"
#include "tests/support/certificates.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

// Instrumented, two ends take ten milliseconds to shake hands: about as long as an address may.
constexpr unsigned kFloodHandshakes = kSanitized ? 1'000 : kFloodAttempts;

// A server that asks for certificates, and contexts of those who come.
struct FloodBench {
  TemporaryFolder folder;
  TestAuthority authority{folder.path().string(), "ours"};
  std::shared_ptr<const TlsContext> agent = context("gate 2");
  std::shared_ptr<const TlsContext> flooder = context("gate 3");
  Fixture fixture{[this](server::ServerOptions& options) {
    options.trust.tls = authority.issue("server", {.name = "server", .sans = {"IP:127.0.0.1"}});
    options.trust.tls.ca = authority.file();
  }};

  std::shared_ptr<const TlsContext> context(const std::string& name) {
    TlsFiles files = authority.issue(name, {.name = name, .sans = {}});
    files.ca = authority.file();
    auto context = TlsContext::load(files, TlsRole::kAgent);
    REQUIRE_MESSAGE(context.is_ok(), context.status().message());
    return std::move(context).value();
  }
};

// What a TLS client says first.
std::vector<std::byte> client_hello(const TlsContext& context) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> session(SSL_new(context.handle()), SSL_free);
  REQUIRE(session != nullptr);
  SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(session.get());
  REQUIRE(SSL_do_handshake(session.get()) == -1);
  BIO* said = SSL_get_wbio(session.get());
  std::vector<std::byte> bytes(BIO_ctrl_pending(said));
  REQUIRE(BIO_read(said, bytes.data(), static_cast<int>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  return bytes;
}

// Asks over a connection of its own as "gate 2", and checks what it is answered.
class FloodedAgent {
 public:
  explicit FloodedAgent(FloodBench& bench)
      : bench_(bench),
        tensors_(bench.fixture.boundary(1, 1)),
        expected_(bench.fixture.expected(1, tensors_)) {}

  bool operator()() const {
    TlsClient agent(bench_.fixture.server.port(), bench_.agent, kAgentAddress);
    const FrameBytes hello =
        make_hello({.device = "gate 2", .model_identity = bench_.fixture.identity()});
    if (agent.error() || !agent.send(hello) || agent.receive() == nullptr) return false;
    const bool is_sent =
        agent.send(make_request({.request_id = 1, .cut = 1}, tensors_.size() * sizeof(float))) &&
        agent.send(std::as_bytes(std::span(tensors_)));
    const fbs::Envelope* reply = is_sent ? agent.receive() : nullptr;
    const fbs::Answer* answer = reply == nullptr ? nullptr : reply->message_as_Answer();
    return answer != nullptr && scores_of(*answer) == expected_;
  }

 private:
  FloodBench& bench_;
  const std::vector<float> tensors_, expected_;
};

}  // namespace

TEST_CASE("a flood of attempts from one address that begin TLS and leave it at that") {
  FloodBench bench;
  const std::vector<std::byte> hello = client_hello(*bench.flooder);
  // They stay.
  std::vector<std::unique_ptr<RawClient>> kept(kFloodKept);
  const auto flood = [&] {
    for (unsigned i = 0; i < kFloodAttempts; ++i) {
      auto& place = kept[i % kept.size()];
      place = std::make_unique<RawClient>(bench.fixture.server.port(), 0, kFlooderAddress);
      (void)place->send(hello);  // one that was not let in is closed by now
    }
  };
  const unsigned answered = answers_beside(kFloodAttempts, flood, FloodedAgent(bench));
  const server::ServerStats stats = bench.fixture.stats();
  CHECK(stats.answers == answered);
  CHECK(stats.tls_handshakes == answered);
  CHECK(stats.refused_address_rate + stats.refused_address_handshakes > kFloodAttempts / 2);
}

TEST_CASE(
    "a flood of attempts from one address that shake hands to the end, if they may, and leave") {
  FloodBench bench;
  std::atomic<unsigned> shaken{0};
  const auto start = std::chrono::steady_clock::now();
  const auto flood = [&] {
    for (unsigned i = 0; i < kFloodHandshakes; ++i) {
      const TlsClient client(bench.fixture.server.port(), bench.flooder, kFlooderAddress);
      if (!client.error()) ++shaken;
    }
  };
  const unsigned answered = answers_beside(kFloodHandshakes, flood, FloodedAgent(bench));
  const server::ServerStats stats = bench.fixture.stats();
  CHECK(stats.answers == answered);
  CHECK(stats.sessions == answered);
  // At first four seconds' worth at once, then as many a second as an address may.
  const auto took = std::chrono::steady_clock::now() - start;
  const auto seconds = static_cast<std::uint64_t>(took / std::chrono::seconds(1)) + 1;
  const std::uint64_t a_second = server::AddressLimits{}.connections_per_second;
  CHECK(shaken >= 4 * a_second);
  CHECK(shaken <= (4 + seconds) * a_second);
  CHECK(shaken + stats.refused_address_rate + stats.refused_address_handshakes >= kFloodHandshakes);
}

}  // namespace cleave::test
