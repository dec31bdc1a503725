// SPDX-License-Identifier: Apache-2.0
//
// The server's state machine, message by message, without sockets.
#include "server/session_protocol.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

using server::SessionProtocol;
using Action = SessionProtocol::Action;
using State = SessionProtocol::State;

struct Table {
  ServerThread models{all_ops_model().build()};
  server::ServerOptions options;
  SessionProtocol protocol{models.models(), options};

  [[nodiscard]] const ModelIdentity& identity() const { return models.model().file->identity(); }
  [[nodiscard]] std::uint64_t boundary_bytes(std::uint32_t cut) const {
    return models.model().variants[0].cuts[cut].boundary_bytes;
  }

  SessionProtocol::Step say(const FrameBytes& frame, std::size_t under_way = 0) {
    std::array<std::byte, kFrameHeaderBytes> head{};
    std::memcpy(head.data(), frame.data(), head.size());
    const auto header = decode_frame_header(head, {.max_attachment_bytes = UINT64_MAX});
    REQUIRE(header.is_ok());
    const std::vector<std::byte> message(frame.begin() + kFrameHeaderBytes, frame.end());
    const auto envelope = parse_message(message);
    REQUIRE_MESSAGE(envelope.is_ok(), envelope.status().message());
    return protocol.take(**envelope, header->attachment_bytes, under_way);
  }
  SessionProtocol::Step hello(std::uint64_t features = 0) {
    return say(make_hello({.device = "d", .model_identity = identity(), .features = features}));
  }
  SessionProtocol::Step request(std::uint32_t cut, std::uint64_t bytes, std::size_t under_way = 0) {
    return say(make_request({.request_id = 5, .cut = cut}, bytes), under_way);
  }
};

FrameBytes hello_of_versions(const ModelIdentity& identity, std::uint16_t lowest,
                             std::uint16_t highest) {
  flatbuffers::FlatBufferBuilder builder;
  const auto device = builder.CreateString("d");
  const auto digest = builder.CreateVector(identity.data(), identity.size());
  const auto hello = fbs::CreateHello(builder, highest, device, digest, lowest);
  return finish_frame(builder, fbs::Message::Hello, hello.Union());
}

}  // namespace

TEST_CASE("Hello opens the session with what both can do") {
  Table table;
  CHECK(table.protocol.state() == State::kGreeting);
  CHECK(table.protocol.limits().max_attachment_bytes == 0);
  CHECK(table.hello(kFeatureHeartbeat | kFeatureResend | (std::uint64_t{1} << 63)).action ==
        Action::kWelcome);
  CHECK(table.protocol.state() == State::kOpen);
  CHECK(table.protocol.device() == "d");
  CHECK(table.protocol.version() == 2);
  CHECK(table.protocol.features() == (kFeatureHeartbeat | kFeatureResend));
  CHECK_FALSE(table.protocol.agreed(kFeatureCancel));
  CHECK(table.protocol.heartbeat_ms() == 5'000);
  CHECK(table.protocol.limits().max_attachment_bytes == table.options.picture.max_file_bytes);
  CHECK(table.hello().action == Action::kRefuse);  // only once
  CHECK(table.protocol.state() == State::kClosed);
}

TEST_CASE("an agent that knows no heartbeats is asked for none") {
  Table table;
  (void)table.hello(kFeatureCancel);
  CHECK(table.protocol.heartbeat_ms() == 0);
}

TEST_CASE("the highest common version is agreed on, or the agent is told both ends' versions") {
  struct Case {
    std::uint16_t lowest, highest;
    const char* refused;  // empty: agreed on version 2
  };
  for (const Case& c : {Case{0, 2, ""}, Case{2, 2, ""}, Case{1, 2, ""}, Case{2, 3, ""},
                        Case{1, 0xffff, ""}, Case{0, 1, "speaks protocol version 2, the agent 1"},
                        Case{0, 3, "speaks protocol version 2, the agent 3"},
                        Case{3, 9, "speaks protocol version 2, the agent 3 to 9"}}) {
    CAPTURE(c.lowest);
    CAPTURE(c.highest);
    Table table;
    const auto step = table.say(hello_of_versions(table.identity(), c.lowest, c.highest));
    if (c.refused[0] == '\0') {
      CHECK(step.action == Action::kWelcome);
      CHECK(table.protocol.version() == 2);
    } else {
      CHECK(step.action == Action::kRefuse);
      CHECK(step.code == fbs::ErrorCode::VersionMismatch);
      CHECK(step.request_id == 0);
      CHECK(step.text.find(c.refused) != std::string::npos);
      CHECK(table.protocol.ended());
    }
  }
}

TEST_CASE("before Hello nothing else is taken, and after it nothing that only a server says") {
  const std::vector<FrameBytes> frames = {make_ping(1),
                                          make_pong(1),
                                          make_goodbye("x"),
                                          make_cancel(1),
                                          make_request({.request_id = 1}, 1),
                                          make_answer(1, std::vector<float>{1}, {}),
                                          make_error(1, fbs::ErrorCode::Busy, "x"),
                                          make_welcome({.server = "s"})};
  for (const FrameBytes& frame : frames) {
    Table table;
    const auto step = table.say(frame);
    CHECK(step.action == Action::kRefuse);
    CHECK(step.code == fbs::ErrorCode::Protocol);
  }
  for (std::size_t i = 5; i < frames.size(); ++i) {
    CAPTURE(i);
    Table table;
    (void)table.hello();
    const auto step = table.say(frames[i]);
    CHECK(step.action == Action::kRefuse);
    CHECK(step.code == fbs::ErrorCode::Protocol);
  }
}

TEST_CASE("boundary codecs are taken from those that have agreed on them") {
  const auto encoded = make_request({.request_id = 5, .cut = 2, .codec = fbs::Codec::F16}, 8);
  Table with;
  (void)with.hello(kFeatureBoundaryCodecs);
  CHECK(with.say(encoded).action == Action::kRequest);
  Table without;
  (void)without.hello(kFeatureResend);
  const auto step = without.say(encoded);
  CHECK(step.action == Action::kRefuse);
  CHECK(step.code == fbs::ErrorCode::BadRequest);
}

TEST_CASE("requests: taken, turned down over the limit, refused when they do not fit the model") {
  Table table;
  (void)table.hello();
  CHECK(table.request(2, table.boundary_bytes(2)).action == Action::kRequest);
  CHECK(table.request(2, table.boundary_bytes(2), 3).action == Action::kRequest);
  const auto busy = table.request(2, table.boundary_bytes(2), 4);
  CHECK(busy.action == Action::kTurnDown);
  CHECK(busy.code == fbs::ErrorCode::Busy);
  CHECK(busy.request_id == 5);
  const auto wrong = table.request(2, table.boundary_bytes(2) + 1);
  CHECK(wrong.action == Action::kRefuse);
  CHECK(wrong.code == fbs::ErrorCode::BadRequest);
  CHECK(wrong.request_id == 5);
  CHECK(table.protocol.ended());
}

TEST_CASE("an agent without a model may ask for one by its name, and fetch, and nothing else") {
  const ModelIdentity none{};
  const auto hello = [&](Table& table, std::string_view name) {
    return table.say(make_hello({.device = "d", .model_identity = none, .model_name = name}));
  };
  Table named, nameless, unknown;
  CHECK(hello(named, "test").action == Action::kWelcome);
  CHECK(named.protocol.model() == nullptr);
  CHECK(named.protocol.current_model() == &named.models.model());
  CHECK(named.protocol.welcomed());
  CHECK(named.protocol.limits().max_attachment_bytes == 0);
  CHECK(named.say(make_fetch({.fetch_id = 1, .sha256 = none, .bytes = 1})).action ==
        Action::kFetch);
  const auto request = named.request(2, named.boundary_bytes(2));
  CHECK(request.action == Action::kRefuse);
  CHECK(request.code == fbs::ErrorCode::Protocol);

  CHECK(hello(nameless, "").action == Action::kWelcome);
  CHECK(nameless.protocol.current_model() == nullptr);
  const auto refused = hello(unknown, "other");
  CHECK(refused.code == fbs::ErrorCode::UnknownModel);
  CHECK(refused.text == "this server has no model of that name; it has test");
}

TEST_CASE("an agent with the only model of its name is told of no other") {
  Table table;
  (void)table.hello();
  CHECK(table.protocol.model() == &table.models.model());
  CHECK(table.protocol.current_model() == nullptr);
}

TEST_CASE("who must prove itself does so between the versions and the models") {
  const std::string token(40, 't');
  const auto table = server::TokenTable::parse(to_hex(*server::token_hash(token)) + " d\n");
  const auto tokens = std::make_shared<const server::TokenTable>(*table);
  const auto demanding = [&](Table& session, std::string certificate) {
    session.protocol.expect({true, std::move(certificate), tokens});
  };
  const auto say = [](Table& session, const ModelIdentity& identity, std::string_view shown) {
    return session.say(make_hello({.device = "d", .model_identity = identity, .token = shown}));
  };
  Table certified, bearer, nobody, stranger, old;
  demanding(certified, "d");
  CHECK(say(certified, certified.identity(), "").action == Action::kWelcome);
  CHECK_FALSE(certified.protocol.token().has_value());
  demanding(bearer, "");
  CHECK(say(bearer, bearer.identity(), token).action == Action::kWelcome);
  CHECK(*bearer.protocol.token() == *server::token_hash(token));
  demanding(nobody, "");
  const auto refused = say(nobody, ModelIdentity{1}, "");  // nor is the model held
  CHECK(refused.action == Action::kRefuse);
  CHECK(refused.code == fbs::ErrorCode::Unauthorized);
  CHECK(nobody.protocol.ended());
  CHECK(nobody.protocol.model() == nullptr);
  demanding(stranger, "e");
  CHECK(say(stranger, stranger.identity(), token).code == fbs::ErrorCode::Unauthorized);
  demanding(old, "");
  CHECK(old.say(hello_of_versions(old.identity(), 0, 1)).code == fbs::ErrorCode::VersionMismatch);
}

TEST_CASE("draining: no new requests, and everything else as before") {
  Table table;
  (void)table.hello();
  table.protocol.drain();
  CHECK(table.protocol.state() == State::kDraining);
  const auto late = table.request(2, table.boundary_bytes(2));
  CHECK(late.action == Action::kTurnDown);
  CHECK(late.code == fbs::ErrorCode::ShuttingDown);
  CHECK(table.say(make_ping(1)).action == Action::kPong);
  const auto cancel = table.say(make_cancel(3));
  CHECK(cancel.action == Action::kCancel);
  CHECK(cancel.request_id == 3);
  CHECK(table.say(make_goodbye("bye")).action == Action::kFinish);
  CHECK(table.protocol.state() == State::kFinishing);
  table.protocol.drain();
  CHECK(table.protocol.state() == State::kFinishing);
}

TEST_CASE("who greets a server that ends is sent away") {
  Table table;
  table.protocol.drain();
  const auto step = table.hello();
  CHECK(step.action == Action::kRefuse);
  CHECK(step.code == fbs::ErrorCode::ShuttingDown);
}

TEST_CASE("bytes that are no frame end the session with the reason") {
  Table table;
  const auto version = table.protocol.take_unreadable({StatusCode::kMismatch, "version 1"});
  CHECK(version.code == fbs::ErrorCode::VersionMismatch);
  CHECK(version.text == "version 1");
  CHECK(table.protocol.take_unreadable({StatusCode::kCorrupt, "x"}).code ==
        fbs::ErrorCode::Protocol);
  CHECK(table.protocol.ended());
}

}  // namespace cleave::test
