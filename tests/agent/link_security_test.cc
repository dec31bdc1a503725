// SPDX-License-Identifier: Apache-2.0
//
// The agent's connections to a server that demands trust, and gives it.
#include "agent/link_security.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <thread>

#include "agent/fetch_client.h"
#include "tests/agent/fixture_link.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

using agent::Connection;
using agent::ConnectionOptions;
using agent::LinkSecurity;

// A server that demands certificates or tokens, and what its agents are given.
struct Bench {
  TemporaryFolder folder;
  TestAuthority authority{folder.path().string(), "ours"};
  server::TrustOptions trust = [this] {
    server::TrustOptions trust;
    trust.tls = authority.issue("server", {.name = "server", .sans = {"IP:127.0.0.1"}});
    trust.tls.ca = authority.file();
    trust.tls.crl = authority.write_list("crl");
    trust.tokens = folder / "tokens";
    write_secret("tokens", to_hex(*server::token_hash(std::string(40, 'n'))) + " cam 1\n");
    return trust;
  }();
  Fixture fixture{[this](server::ServerOptions& options) { options.trust = trust; }};

  void write_secret(const std::string& name, const std::string& content) const {
    std::ofstream(folder / name) << content;
    REQUIRE(chmod((folder / name).c_str(), 0600) == 0);
  }
  // Of a device with a certificate; an empty name: with none.
  ConnectionOptions device(const std::string& name) {
    ConnectionOptions options = options_for(fixture);
    options.device = name.empty() ? "cam 1" : name;
    options.first_backoff = milliseconds(0);
    options.heartbeats = false;  // a connection without requests is left alone
    TlsFiles files;
    if (!name.empty()) files = authority.issue(name, {.name = name, .sans = {}});
    files.ca = authority.file();
    auto credentials = TlsCredentials::load(files, TlsRole::kAgent);
    REQUIRE_MESSAGE(credentials.is_ok(), credentials.status().message());
    options.security.tls = std::move(credentials).value();
    return options;
  }
};

Status connect(Connection& connection, asio::io_context& io) {
  Status status;
  run(io, [&]() -> asio::awaitable<void> { status = co_await connection.ensure_ready(); });
  return status;
}

Status connect(const ConnectionOptions& options) {
  asio::io_context io(1);
  Connection connection(io.get_executor(), options);
  return connect(connection, io);
}

}  // namespace

TEST_CASE("an exchange over mutual TLS") {
  Bench bench;
  asio::io_context io(1);
  Connection connection(io.get_executor(), bench.device("gate 2"));
  const std::vector<float> tensors = bench.fixture.boundary(2, 5);
  agent::Outgoing request;
  request.request_id = 7;
  request.cut = 2;
  request.attachment.push_back(std::as_bytes(std::span(tensors)));
  agent::ServerAnswer answer;
  Status status;
  run(io, [&]() -> asio::awaitable<void> {
    status = co_await connection.exchange(request, answer);
    co_await connection.close();
  });
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(answer.scores == bench.fixture.expected(2, tensors));
  CHECK(answer.attachment_bytes_up == tensors.size() * sizeof(float));
}

TEST_CASE("several exchanges at a time over TLS: what is read and what is written do not meet") {
  Bench bench;
  asio::io_context io(1);
  Connection connection(io.get_executor(), bench.device("gate 2"));
  constexpr std::size_t kRequests = 24;
  std::vector<std::vector<float>> tensors;
  std::vector<agent::ServerAnswer> answers(kRequests);
  std::vector<Status> statuses(kRequests);
  std::size_t left = kRequests;
  const auto one = [&](std::size_t i) -> asio::awaitable<void> {
    agent::Outgoing request;
    request.request_id = i + 1;
    request.cut = 2;
    request.attachment.push_back(std::as_bytes(std::span(tensors[i])));
    statuses[i] = co_await connection.exchange(request, answers[i]);
    if (--left == 0) co_await connection.close();
  };
  for (std::size_t i = 0; i < kRequests; ++i) {
    tensors.push_back(bench.fixture.boundary(2, static_cast<unsigned>(i)));
  }
  for (std::size_t i = 0; i < kRequests; ++i) asio::co_spawn(io, one(i), asio::detached);
  io.run();
  for (std::size_t i = 0; i < kRequests; ++i) {
    REQUIRE_MESSAGE(statuses[i].is_ok(), statuses[i].message());
    CHECK(answers[i].scores == bench.fixture.expected(2, tensors[i]));
  }
}

TEST_CASE("whoever does not prove to be the server is left alone for long, and said why") {
  Bench bench;
  ConnectionOptions options = bench.device("gate 2");
  options.security.server_name = "elsewhere";
  asio::io_context io(1);
  Connection connection(io.get_executor(), options);
  const Status first = connect(connection, io);
  CHECK(first.code() == StatusCode::kUnavailable);
  CHECK(first.message().find("another name") != std::string::npos);
  CHECK(connection.stranger() == first.message());
  CHECK(connection.counters().connect_distrusted == 1);
  CHECK(connection.retry_at() > agent::Clock::now() + options.longest_backoff / 3);
  const auto connections = bench.fixture.stats().connections;
  const Status next = connect(connection, io);
  CHECK(next.code() == StatusCode::kUnavailable);
  CHECK(next.message().find("another name") != std::string::npos);
  CHECK(bench.fixture.stats().connections == connections);  // not even tried
}

TEST_CASE("a stranger in the server's place does not keep the agent from the server later") {
  Bench bench;
  const std::string log_path = bench.folder / "log";
  const auto log = agent::EventLog::open(log_path, "info");
  REQUIRE(log.is_ok());
  const auto reload = [&] {
    bench.fixture.server.on_network_thread(
        [&] { CHECK(bench.fixture.server.server().reload_credentials().is_ok()); });
  };
  const auto log_lines_with = [&](const std::string& word) {
    std::ifstream in(log_path);
    int lines = 0;
    for (std::string line; std::getline(in, line);) lines += line.find(word) != std::string::npos;
    return lines;
  };
  ConnectionOptions options = bench.device("gate 2");
  options.longest_backoff = milliseconds(0);
  options.log = log->get();
  std::string why;
  SUBCASE("under a wrong name") {
    (void)bench.authority.issue("server", {.name = "server", .sans = {"DNS:elsewhere"}});
    why = "another name";
  }
  SUBCASE("of another CA") {
    TestAuthority theirs(bench.folder.path().string(), "theirs");
    (void)theirs.issue("server", {.name = "server", .sans = {"IP:127.0.0.1"}});
    why = "of no CA that is trusted here";
  }
  reload();
  asio::io_context io(1);
  Connection connection(io.get_executor(), options);
  for (int i = 0; i < 3; ++i) {
    const Status status = connect(connection, io);
    CHECK(status.code() == StatusCode::kUnavailable);
    CHECK_MESSAGE(status.message().find(why) != std::string::npos, status.message());
  }
  CHECK(connection.counters().connect_distrusted == 3);
  CHECK(log_lines_with("connect_failed") == 3);
  CHECK(log_lines_with("\"warn\"") == 1);  // the others say nothing new
  (void)bench.authority.issue("server", {.name = "server", .sans = {"IP:127.0.0.1"}});
  reload();
  const Status status = connect(connection, io);
  CHECK_MESSAGE(status.is_ok(), status.message());
  CHECK(connection.stranger().empty());
  run(io, [&]() -> asio::awaitable<void> { co_await connection.close(); });
}

TEST_CASE("that the server does not believe the device is final, and says so") {
  Bench bench;
  ConnectionOptions stranger = bench.device("");
  const Status nobody = connect(stranger);
  CHECK(nobody.code() == StatusCode::kMismatch);
  CHECK(nobody.message().find("demands a token") != std::string::npos);
  ConnectionOptions liar = bench.device("gate 3");
  liar.device = "gate 2";
  CHECK(connect(liar).code() == StatusCode::kMismatch);
}

TEST_CASE("connections that failed are counted by what they failed at") {
  Bench bench;
  const auto count = [](const ConnectionOptions& options, StatusCode code) {
    asio::io_context io(1);
    Connection connection(io.get_executor(), options);
    CHECK(connect(connection, io).code() == code);
    CHECK(connection.counters().connect_failures == 1);
    return connection.counters();
  };
  SUBCASE("a server whose certificate has expired: later it may have another") {
    // In the place of those that it was given.
    (void)bench.authority.issue("server",
                                {.name = "server", .sans = {"IP:127.0.0.1"}, .until_seconds = -60});
    bench.fixture.server.on_network_thread(
        [&] { CHECK(bench.fixture.server.server().reload_credentials().is_ok()); });
    CHECK(count(bench.device("gate 2"), StatusCode::kUnavailable).connect_distrusted == 1);
  }
  SUBCASE("a device whose certificate is revoked") {
    const ConnectionOptions revoked = bench.device("gate 2");
    bench.authority.revoke_last();
    (void)bench.authority.write_list("crl");
    bench.fixture.server.on_network_thread(
        [&] { CHECK(bench.fixture.server.server().reload_credentials().is_ok()); });
    CHECK(count(revoked, StatusCode::kMismatch).connect_distrusted == 1);
  }
  SUBCASE("a device that is believed by nobody") {
    CHECK(count(bench.device(""), StatusCode::kMismatch).connect_mismatches == 1);
  }
  SUBCASE("whoever takes the connection and closes it: nobody said that it does not trust") {
    ConnectionOptions closed = bench.device("gate 2");
    asio::io_context io(1);
    asio::ip::tcp::acceptor server(io, {asio::ip::address_v4::loopback(), 0});
    const std::jthread closer([&server] {
      error_code error;
      std::array<std::byte, 4096> hello;
      asio::ip::tcp::socket peer = server.accept(error);
      // All of it: what is closed with something unread is reset, and does not end within TLS.
      (void)peer.read_some(asio::buffer(hello), error);
    });
    closed.server.port = server.local_endpoint().port();
    CHECK(count(closed, StatusCode::kUnavailable).connect_broken == 1);
  }
  SUBCASE("a server that is not there") {
    ConnectionOptions nobody = bench.device("gate 2");
    asio::io_context io(1);
    {
      const asio::ip::tcp::acceptor closed(io, {asio::ip::address_v4::loopback(), 0});
      nobody.server.port = closed.local_endpoint().port();
    }
    CHECK(count(nobody, StatusCode::kUnavailable).connect_unreachable == 1);
  }
}

TEST_CASE("files that were renewed are used by the next connection, without a restart") {
  Bench bench;
  asio::io_context io(1);
  const ConnectionOptions options = bench.device("gate 2");
  Connection connection(io.get_executor(), options);
  const auto reconnect = [&] {
    run(io, [&]() -> asio::awaitable<void> { co_await connection.close(); });
    return connect(connection, io);
  };
  REQUIRE(connect(connection, io).is_ok());
  bench.authority.revoke_last();
  (void)bench.authority.write_list("crl");
  (void)bench.authority.issue("gate 2", {.name = "gate 2", .sans = {}});  // over the old files
  bench.fixture.server.on_network_thread(
      [&] { CHECK(bench.fixture.server.server().reload_credentials().is_ok()); });
  CHECK(reconnect().is_ok());
  bench.authority.revoke_last();
  (void)bench.authority.write_list("crl");
  bench.fixture.server.on_network_thread(
      [&] { CHECK(bench.fixture.server.server().reload_credentials().is_ok()); });
  const Status revoked = reconnect();
  CHECK(revoked.code() == StatusCode::kMismatch);
  CHECK(revoked.message().find("revoked") != std::string::npos);
}

TEST_CASE("a token, as its file has it at that time; and fetching with it") {
  Bench bench;
  ConnectionOptions options = bench.device("");
  options.security.token_file = bench.folder / "token";
  bench.write_secret("token", std::string(40, 'o') + "\n");
  CHECK(connect(options).code() == StatusCode::kMismatch);
  bench.write_secret("token", std::string(40, 'n') + "\n");
  CHECK(connect(options).is_ok());
  asio::io_context io(1);
  agent::FetchClient client(io.get_executor(), options, "test");
  Status status;
  run(io, [&]() -> asio::awaitable<void> {
    status = co_await client.ensure_connected();
    co_await client.close();
  });
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(client.current_model() == bench.fixture.identity());
  REQUIRE(chmod((bench.folder / "token").c_str(), 0644) == 0);
  // No fault of what was to be sent: it is tried again.
  const Status open_file = connect(options);
  CHECK(open_file.code() == StatusCode::kUnavailable);
  CHECK(open_file.message().find("chmod 600") != std::string::npos);
}

TEST_CASE("a server that accepts and then says nothing does not hold the agent up") {
  Bench bench;
  ConnectionOptions options = bench.device("gate 2");
  asio::io_context io(1);
  asio::ip::tcp::acceptor silent(io, {asio::ip::address_v4::loopback(), 0});
  options.server.port = silent.local_endpoint().port();
  options.handshake_timeout = milliseconds(100);
  const Status status = connect(options);
  CHECK(status.code() == StatusCode::kDeadlineExceeded);
  CHECK(status.message().find("securing") != std::string::npos);
}

TEST_CASE("plain TCP goes to this machine, and elsewhere only if it may") {
  const auto check = [](const LinkSecurity& security, std::initializer_list<const char*> to) {
    std::vector<agent::tcp::endpoint> endpoints;
    for (const char* address : to) endpoints.emplace_back(asio::ip::make_address(address), 1);
    return check_exposure(security, endpoints).code();
  };
  LinkSecurity plain, allowed, token;
  allowed.allow_plain = token.allow_plain = true;
  token.token_file = "token";
  CHECK(check(plain, {"127.0.0.1", "127.8.9.1", "::1"}) == StatusCode::kOk);
  CHECK(check(plain, {"127.0.0.1", "192.0.2.1"}) == StatusCode::kMismatch);
  CHECK(check(plain, {"2001:db8::1"}) == StatusCode::kMismatch);
  CHECK(check(allowed, {"192.0.2.1"}) == StatusCode::kOk);
  CHECK(check(token, {"127.0.0.1"}) == StatusCode::kOk);
  CHECK(check(token, {"192.0.2.1"}) == StatusCode::kMismatch);
}

TEST_CASE("plain TCP beyond this machine is warned of, once") {
  const TemporaryFolder folder;
  const std::string log_path = folder / "log";
  const auto log = agent::EventLog::open(log_path, "warn");
  REQUIRE(log.is_ok());
  ConnectionOptions options;
  options.security.allow_plain = true;
  options.connect_timeout = milliseconds(50);
  options.first_backoff = options.longest_backoff = milliseconds(0);
  options.log = log->get();
  int expected = 0;
  SUBCASE("to another machine") {
    options.server = {"192.0.2.1", 9};
    expected = 1;
  }
  SUBCASE("to this one") { options.server = {"127.0.0.1", 9}; }
  asio::io_context io(1);
  Connection connection(io.get_executor(), options);
  for (int i = 0; i < 2; ++i) CHECK_FALSE(connect(connection, io).is_ok());
  std::ifstream in(log_path);
  int warnings = 0;
  for (std::string line; std::getline(in, line);) {
    warnings += line.find("\"unencrypted\"") != std::string::npos;
  }
  CHECK(warnings == expected);
}

}  // namespace cleave::test
