// SPDX-License-Identifier: Apache-2.0
//
// Who is let in and who is not, and why; then that bytes come as they went.
#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "schemas/transport/tls_credentials.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_pair.h"

namespace cleave::test {
namespace {

using Context = std::shared_ptr<const TlsContext>;

Context loaded(const TlsFiles& files, TlsRole role, bool optional = false) {
  auto context = TlsContext::load(files, role, optional);
  REQUIRE_MESSAGE(context.is_ok(), context.status().message());
  return std::move(context).value();
}

TlsFiles with(TlsFiles files, const std::string& ca, const std::string& crl = "") {
  files.ca = ca;
  files.crl = crl;
  return files;
}

struct Fleet {
  TemporaryFolder folder;
  TestAuthority authority{folder.path().string(), "ours"};
  TestAuthority stranger{folder.path().string(), "theirs"};
  TlsFiles server_files =
      with(authority.issue("server", {.name = "server", .sans = {"DNS:localhost", "IP:127.0.0.1"}}),
           authority.file());
  TlsFiles device_files =
      with(authority.issue("device", {.name = "gate 2", .sans = {}}), authority.file());
  Context server = loaded(server_files, TlsRole::kServer);
  Context device = loaded(device_files, TlsRole::kAgent);

  TlsFiles issue(const Leaf& leaf, bool revoked = false) {
    return with(authority.issue("other", leaf, revoked), authority.file());
  }
};

}  // namespace

TEST_CASE("both ends prove themselves and know each other's name") {
  Fleet fleet;
  CHECK(fleet.device->own_name() == "gate 2");
  TlsPair pair;
  for (const char* name : {"localhost", "127.0.0.1"}) {
    CAPTURE(name);
    pair.meet(fleet.server, fleet.device, name);
    CHECK_MESSAGE(!pair.server_error, pair.server_error.message());
    CHECK_MESSAGE(!pair.client_error, pair.client_error.message());
    CHECK(pair.server().peer() == "gate 2");
    CHECK(pair.client().peer() == "server");
  }
}

TEST_CASE("devices that are not let in: both ends are told why") {
  Fleet fleet;
  const std::string ca = fleet.authority.file();
  struct Case {
    const char* what;
    TlsFiles files;
    TlsError at_server, at_device;
    std::string claimed;
  };
  const std::string crl = [&] {
    (void)fleet.issue({.name = "thief", .sans = {}}, true);
    return fleet.authority.write_list("crl");
  }();
  const TlsFiles thief = [&] {  // its files, before the next is written over them
    TlsFiles files = with(fleet.authority.issue("thief", {.name = "thief", .sans = {}}, true), ca);
    return files;
  }();
  const std::string newer_crl = fleet.authority.write_list("newer.crl");
  const auto issue = [&](const char* to, const Leaf& leaf) {
    return with(fleet.authority.issue(to, leaf), ca);
  };
  const Case cases[] = {
      {"revoked", thief, TlsError::kRevoked, TlsError::kCertificateRevoked, "thief"},
      {"expired", issue("a", {.name = "old", .sans = {}, .until_seconds = -60}), TlsError::kExpired,
       TlsError::kCertificateExpired, "old"},
      {"not yet valid", issue("b", {.name = "young", .sans = {}, .from_seconds = 600}),
       TlsError::kExpired, TlsError::kCertificateRefused, "young"},
      {"of another CA", with(fleet.stranger.issue("c", {.name = "gate 2", .sans = {}}), ca),
       TlsError::kUnknownIssuer, TlsError::kCertificateUnknownIssuer, "gate 2"},
      {"a server's", issue("d", {.name = "server", .sans = {"DNS:localhost"}}),
       TlsError::kBadCertificate, TlsError::kCertificateRefused, "server"},
      {"none", TlsFiles{.ca = ca, .certificate = "", .key = "", .crl = ""},
       TlsError::kNoCertificate, TlsError::kCertificateDemanded, ""},
  };
  const Context server = loaded(with(fleet.server_files, ca, newer_crl), TlsRole::kServer);
  TlsPair pair;
  for (const Case& c : cases) {
    CAPTURE(c.what);
    pair.meet(server, loaded(c.files, TlsRole::kAgent));
    CHECK_MESSAGE(pair.server_error == c.at_server, pair.server_error.message());
    CHECK(pair.server().claimed_peer() == c.claimed);
    CHECK(pair.server().peer() == "");
    if (c.at_device != TlsError::kCertificateRefused) {
      CHECK_MESSAGE(pair.client_error == c.at_device, pair.client_error.message());
    }
  }
  pair.meet(server, fleet.device);  // the others are
  CHECK(pair.server().peer() == "gate 2");
  CHECK_FALSE(crl.empty());
}

TEST_CASE("a device's certificate must name it once") {
  Fleet fleet;
  for (const Leaf& leaf : {Leaf{.name = "one", .sans = {}, .second_name = "two"},
                           Leaf{.name = "", .sans = {}}, Leaf{.name = "a\nb", .sans = {}}}) {
    CAPTURE(leaf.name);
    const TlsFiles files = fleet.issue(leaf);
    CHECK(TlsContext::load(files, TlsRole::kAgent).status().code() == StatusCode::kInvalidArgument);
  }
  CHECK(fleet.issue({.name = "G\xc3\xa4rten 3", .sans = {}}).any());
  CHECK(loaded(fleet.issue({.name = "G\xc3\xa4rten 3", .sans = {}}), TlsRole::kAgent)->own_name() ==
        "G\xc3\xa4rten 3");
}

TEST_CASE("servers that are not believed") {
  Fleet fleet;
  const std::string ca = fleet.authority.file();
  TlsPair pair;
  const auto meet = [&](const TlsFiles& server, const std::string& name, const Context& device) {
    pair.meet(loaded(server, TlsRole::kServer), device, name);
    return pair.client_error;
  };
  CHECK(meet(fleet.server_files, "elsewhere", fleet.device) == TlsError::kWrongName);
  CHECK(meet(fleet.server_files, "127.0.0.2", fleet.device) == TlsError::kWrongName);
  CHECK(meet(fleet.server_files, "server", fleet.device) == TlsError::kWrongName);  // no SAN
  CHECK(pair.server_error);
  const Leaf old{.name = "server", .sans = {"DNS:localhost"}, .until_seconds = -60};
  CHECK(meet(fleet.issue(old), "localhost", fleet.device) == TlsError::kExpired);
  CHECK(meet(with(fleet.stranger.issue("s", {.name = "server", .sans = {"DNS:localhost"}}), ca),
             "localhost", fleet.device) == TlsError::kUnknownIssuer);
  // A device that plays the server.
  CHECK(meet(fleet.device_files, "localhost", fleet.device) == TlsError::kBadCertificate);
  const TlsFiles revoked =
      fleet.issue({.name = "server", .sans = {"DNS:localhost"}}, /*revoked=*/true);
  const Context careful =
      loaded(with(fleet.device_files, ca, fleet.authority.write_list("crl")), TlsRole::kAgent);
  CHECK(meet(revoked, "localhost", careful) == TlsError::kRevoked);
  CHECK(meet(fleet.server_files, "localhost", careful) == error_code());
}

TEST_CASE("with a list of the revoked that is out of date nobody is trusted") {
  Fleet fleet;
  const std::string crl = fleet.authority.write_list("crl", -60);
  TlsPair pair;
  pair.meet(loaded(with(fleet.server_files, fleet.authority.file(), crl), TlsRole::kServer),
            fleet.device);
  CHECK(pair.server_error == TlsError::kNoRevocationList);
}

TEST_CASE("where a certificate is optional, a device without one is let in without a name") {
  Fleet fleet;
  TlsPair pair;
  const Context server = loaded(fleet.server_files, TlsRole::kServer, /*optional=*/true);
  pair.meet(server, loaded({.ca = fleet.authority.file(), .certificate = "", .key = "", .crl = ""},
                           TlsRole::kAgent));
  CHECK_FALSE(pair.server_error);
  CHECK(pair.server().peer() == "");
  pair.meet(server, fleet.device);
  CHECK(pair.server().peer() == "gate 2");
  // But not with a bad one.
  pair.meet(server, loaded(fleet.issue({.name = "old", .sans = {}, .until_seconds = -60}),
                           TlsRole::kAgent));
  CHECK(pair.server_error == TlsError::kExpired);
}

TEST_CASE("a connection's peer can be judged by newer lists") {
  Fleet fleet;
  TlsPair pair;
  pair.meet(fleet.server, fleet.device);
  CHECK_FALSE(pair.server().judge_peer(*fleet.server));
  const std::string ca = fleet.authority.file();
  const auto with_list = [&](const char* to) {
    return loaded(with(fleet.server_files, ca, fleet.authority.write_list(to)), TlsRole::kServer);
  };
  CHECK_FALSE(pair.server().judge_peer(*with_list("before")));
  fleet.authority.revoke_last();
  CHECK(pair.server().judge_peer(*with_list("after")) == TlsError::kRevoked);
}

TEST_CASE("what cannot be used is refused when it is loaded, with the file's name") {
  Fleet fleet;
  const auto refused = [](const TlsFiles& files, TlsRole role, StatusCode code,
                          const std::string& file) {
    const Status status = TlsContext::load(files, role).status();
    CAPTURE(status.message());
    CHECK(status.code() == code);
    CHECK(status.message().find(file) != std::string::npos);
    CHECK(status.message().find("BEGIN") == std::string::npos);
  };
  const auto changed = [&](std::string TlsFiles::*which, const std::string& path) {
    TlsFiles files = fleet.server_files;
    files.*which = path;
    return files;
  };
  const std::string garbage = fleet.folder / "garbage";
  std::ofstream(garbage) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  REQUIRE(chmod(garbage.c_str(), 0600) == 0);
  for (const auto which : {&TlsFiles::ca, &TlsFiles::certificate, &TlsFiles::key, &TlsFiles::crl}) {
    refused(changed(which, fleet.folder / "none"), TlsRole::kServer, StatusCode::kNotFound, "none");
    refused(changed(which, garbage), TlsRole::kServer, StatusCode::kInvalidArgument, garbage);
    refused(changed(which, fleet.folder.path().string()), TlsRole::kServer,
            StatusCode::kInvalidArgument, fleet.folder.path().string());
  }
  refused(changed(&TlsFiles::key, fleet.device_files.key), TlsRole::kServer,
          StatusCode::kInvalidArgument, fleet.device_files.key);
  for (const auto which : {&TlsFiles::certificate, &TlsFiles::key}) {
    CHECK(TlsContext::load(changed(which, ""), TlsRole::kServer).status().code() ==
          StatusCode::kInvalidArgument);
    CHECK(TlsContext::load(changed(which, ""), TlsRole::kAgent).status().code() ==
          StatusCode::kInvalidArgument);
  }
  CHECK(TlsContext::load(changed(&TlsFiles::ca, ""), TlsRole::kAgent).status().code() ==
        StatusCode::kInvalidArgument);
  REQUIRE(chmod(fleet.server_files.key.c_str(), 0644) == 0);
  refused(fleet.server_files, TlsRole::kServer, StatusCode::kInvalidArgument,
          fleet.server_files.key + ": others may read");
}

TEST_CASE("credentials are read again when a file has changed, and kept when they are spoiled") {
  Fleet fleet;
  auto credentials = TlsCredentials::load(fleet.device_files, TlsRole::kAgent);
  REQUIRE(credentials.is_ok());
  TlsCredentials& device = **credentials;
  const Context first = device.current();
  CHECK(device.reload_if_changed().is_ok());
  CHECK(device.current() == first);
  // Certificate first, key later, as a renewal may write them.
  const TlsFiles renewed = fleet.issue({.name = "gate 3", .sans = {}});
  REQUIRE(rename(renewed.certificate.c_str(), fleet.device_files.certificate.c_str()) == 0);
  CHECK(device.reload_if_changed().code() == StatusCode::kInvalidArgument);
  CHECK(device.current() == first);
  CHECK(device.reload_if_changed().is_ok());  // not told twice
  REQUIRE(rename(renewed.key.c_str(), fleet.device_files.key.c_str()) == 0);
  CHECK(device.reload_if_changed().is_ok());
  CHECK(device.current()->own_name() == "gate 3");
  const Context second = device.current();
  CHECK(device.reload().is_ok());
  CHECK(device.current() != second);
}

TEST_CASE("a megabyte and a half comes as it went, both ways at once, in small and large pieces") {
  Fleet fleet;
  TlsPair pair;
  pair.meet(fleet.server, fleet.device);
  std::mt19937 random(1);
  std::vector<std::byte> sent(1'500'000);
  for (std::byte& byte : sent) byte = static_cast<std::byte>(random());
  const auto send = [&sent](Stream& stream) -> asio::awaitable<void> {
    std::span<const std::byte> left(sent);
    for (std::size_t piece = 1; !left.empty(); piece = piece * 3 % 70'001) {
      // An empty buffer first, as a frame without a message would be.
      const auto next = left.first(std::min(left.size(), piece));
      const std::array<asio::const_buffer, 2> buffers{asio::const_buffer(),
                                                      asio::buffer(next.data(), next.size())};
      const auto [error, count] = co_await stream.async_write_some(buffers, as_result);
      REQUIRE(error == error_code());
      REQUIRE(count <= Stream::kRecordBytes);
      left = left.subspan(count);
    }
  };
  const auto receive = [&sent](Stream& stream) -> asio::awaitable<void> {
    std::vector<std::byte> got(sent.size());
    std::span<std::byte> left(got);
    while (!left.empty()) {
      const auto [error, count] =
          co_await stream.async_read_some(asio::buffer(left.data(), left.size()), as_result);
      REQUIRE(error == error_code());
      left = left.subspan(count);
    }
    CHECK(got == sent);
  };
  pair.run(send, receive);
  pair.run(receive, send);
}

TEST_CASE("a connection that is cut tells it from one that was ended") {
  Fleet fleet;
  TlsPair pair;
  error_code seen;
  const auto read = [&seen](Stream& stream) -> asio::awaitable<void> {
    std::array<char, 8> bytes;
    const auto [error, count] = co_await stream.async_read_some(asio::buffer(bytes), as_result);
    seen = error;
  };
  pair.meet(fleet.server, fleet.device);
  pair.run(
      [](Stream& stream) -> asio::awaitable<void> {
        error_code ignored;
        stream.shutdown(Stream::Socket::shutdown_send, ignored);
        co_return;
      },
      read);
  CHECK(seen == asio::error::eof);
  pair.meet(fleet.server, fleet.device);
  pair.run(
      [](Stream& stream) -> asio::awaitable<void> {
        error_code ignored;
        stream.tcp_socket().shutdown(Stream::Socket::shutdown_send, ignored);
        co_return;
      },
      read);
  CHECK(seen == TlsError::kTruncated);
}

TEST_CASE("what is under way ends when the stream is closed or cancelled") {
  Fleet fleet;
  TlsPair pair;
  for (const bool close : {false, true}) {
    CAPTURE(close);
    pair.meet(fleet.server, fleet.device);
    error_code seen;
    pair.run([](Stream&) -> asio::awaitable<void> { co_return; },
             [&](Stream& stream) -> asio::awaitable<void> {
               asio::post(stream.get_executor(), [&] {
                 error_code ignored;
                 close ? stream.close(ignored) : stream.cancel(ignored);
               });
               std::array<char, 8> bytes;
               const auto [error, count] =
                   co_await stream.async_read_some(asio::buffer(bytes), as_result);
               seen = error;
             });
    CHECK(seen == asio::error::operation_aborted);
  }
}

TEST_CASE("a peer that sends nothing but key updates does not keep the thread for itself") {
  constexpr int kUpdates = 2'000;
  Fleet fleet;
  asio::io_context io(1);
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::ip::tcp::socket peer(io);
  peer.connect(acceptor.local_endpoint());
  Stream stream(acceptor.accept());
  std::thread flood([&] {
    SSL* session = SSL_new(fleet.device->handle());
    SSL_set_fd(session, peer.native_handle());
    bool well = SSL_connect(session) == 1;
    for (int i = 0; i < kUpdates && well; ++i) {
      well = SSL_key_update(session, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
             SSL_do_handshake(session) == 1;
    }
    CHECK((well && SSL_write(session, "!", 1) == 1));
    SSL_free(session);
  });
  int turns_of_others = 0;
  bool over = false;
  const auto read = [&]() -> asio::awaitable<void> {
    const error_code refused = co_await stream.accept_tls(fleet.server);
    CHECK_MESSAGE(!refused, refused.message());
    flood.join();  // all of it waits here
    std::array<char, 1> word{};
    const auto [error, count] = co_await stream.async_read_some(asio::buffer(word), as_result);
    CHECK(error == error_code());
    CHECK(word[0] == '!');
    over = true;
  };
  const auto others = [&]() -> asio::awaitable<void> {
    for (; !over; ++turns_of_others) co_await asio::post(io, asio::use_awaitable);
  };
  asio::co_spawn(io, read, asio::detached);
  asio::co_spawn(io, others, asio::detached);
  io.run();
  CHECK(turns_of_others >= kUpdates);
}

TEST_CASE("who was revoked in the middle of a chain signs for nobody") {
  Fleet fleet;
  TestAuthority between(fleet.folder.path().string(), "between", fleet.authority);
  TlsFiles files = between.issue("leaf", {.name = "gate 2", .sans = {}});
  std::ofstream(files.certificate, std::ios::app) << std::ifstream(between.file()).rdbuf();
  files.ca = fleet.authority.file();
  const Context device = loaded(files, TlsRole::kAgent);
  const auto server = [&](const char* name) {
    const std::string lists = fleet.authority.write_list(name);
    std::ofstream(lists, std::ios::app) << std::ifstream(between.write_list("lower")).rdbuf();
    return loaded(with(fleet.server_files, fleet.authority.file(), lists), TlsRole::kServer);
  };
  TlsPair pair;
  const Context before = server("before");
  pair.meet(before, device);
  CHECK_MESSAGE(pair.server_error == error_code(), pair.server_error.message());
  fleet.authority.revoke_last();
  pair.meet(server("after"), device);
  CHECK_MESSAGE(pair.server_error == TlsError::kRevoked, pair.server_error.message());
}

}  // namespace cleave::test
