// SPDX-License-Identifier: Apache-2.0
#include "agent/handshake.h"

#include <algorithm>
#include <string>
#include <utility>

#include "agent/link_security.h"
#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kRoundTrips = 3;

// What a message after the Welcome takes beside scores: a text of 1024 bytes at most, and fields,
// those that a later server adds included.
constexpr std::size_t kMaxBytesBesideScores = 4096;

std::uint32_t max_message_bytes(std::size_t score_count) {
  const std::size_t bytes = kMaxBytesBesideScores + score_count * sizeof(float);
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, kMaxMessageToAgentBytes));
}

std::uint64_t offered_features(const ConnectionOptions& options) {
  const std::uint64_t always = kFeatureBoundaryCodecs | kFeatureCodecTimes | kFeatureResend |
                               kFeatureCancel | kFeatureJpegModelSize;
  return always | (options.heartbeats ? kFeatureHeartbeat : 0);
}

// The next message that is not about the connection itself.
asio::awaitable<Status> receive(ServerLink& link, ServerLink::Incoming& frame,
                                Clock::time_point latest, ServerFacts& server) {
  for (;;) {
    Status status = co_await link.receive_frame(frame, 0, latest, latest);
    if (!status.is_ok()) co_return status;
    if (const fbs::Ping* ping = frame.envelope->message_as_Ping()) {
      const FrameBytes pong = make_pong(ping->nonce());
      status = co_await link.send(pong, latest);
      if (!status.is_ok()) co_return status;
    } else if (frame.envelope->message_as_Goodbye() != nullptr) {
      server.says_goodbye = true;
    } else {
      co_return Status::ok();
    }
  }
}

Status read_welcome(const fbs::Welcome& welcome, const ConnectionOptions& options,
                    ServerFacts& server) {
  CLEAVE_RETURN_IF_ERROR(check_version(welcome, options.server));
  server.features = welcome.features() & offered_features(options);
  server.session_id = welcome.session_id();
  const bool beats = (server.features & kFeatureHeartbeat) != 0;
  server.heartbeat = std::chrono::milliseconds(beats ? welcome.heartbeat_ms() : 0);
  server.max_picture_bytes = welcome.max_picture_bytes();
  server.max_inflight = welcome.max_inflight();
  server.profile.reset();
  if (welcome.profile() == nullptr) return Status::ok();
  auto profile = profile_from_message(*welcome.profile());
  if (!profile.is_ok()) return profile.status().with_context("the server's profile");
  if (profile->model_identity != options.model_identity) {
    return {StatusCode::kMismatch, "the server's profile is of another model"};
  }
  server.profile = std::move(profile).value();
  return Status::ok();
}

asio::awaitable<Status> exchange_hello(ServerLink& link, const ConnectionOptions& options,
                                       LinkState& state, Clock::time_point latest,
                                       ServerFacts& server) {
  const auto token = token_of(options.security);
  // Perhaps it is being replaced: that is no fault of the picture.
  if (!token.is_ok()) co_return Status(StatusCode::kUnavailable, token.status().message());
  const FrameBytes hello = make_hello({.device = options.device,
                                       .model_identity = options.model_identity,
                                       .lowest_version = kSpokenVersions.lowest,
                                       .features = offered_features(options),
                                       .token = *token});
  Status status = co_await link.send(hello, latest);
  if (!status.is_ok()) co_return status;
  ServerLink::Incoming frame;
  status = co_await receive(link, frame, latest, server);
  if (!status.is_ok()) co_return status;
  if (const fbs::Error* error = frame.envelope->message_as_Error()) {
    keep_pause(*error, options, state);
    co_return link.refusal(*error);
  }
  const fbs::Welcome* welcome = frame.envelope->message_as_Welcome();
  if (welcome == nullptr) {
    co_return Status(StatusCode::kCorrupt, "the server did not answer Hello with Welcome");
  }
  link.limit_messages(max_message_bytes(options.score_count));
  co_return read_welcome(*welcome, options, server);
}

asio::awaitable<Status> measure_rtt(ServerLink& link, Clock::time_point latest,
                                    ServerFacts& server) {
  server.rtt_ns = UINT64_MAX;
  for (std::uint64_t nonce = 1; nonce <= kRoundTrips; ++nonce) {
    const auto start = Clock::now();
    const FrameBytes ping = make_ping(nonce);
    Status status = co_await link.send(ping, latest);
    if (!status.is_ok()) co_return status;
    ServerLink::Incoming frame;
    status = co_await receive(link, frame, latest, server);
    if (!status.is_ok()) co_return status;
    const fbs::Pong* pong = frame.envelope->message_as_Pong();
    if (pong == nullptr || pong->nonce() != nonce) {
      co_return Status(StatusCode::kCorrupt, "the server did not answer Ping with Pong");
    }
    server.rtt_ns = std::min(server.rtt_ns, ns_between(start, Clock::now()));
  }
  co_return Status::ok();
}

}  // namespace

asio::awaitable<Status> shake_hands(ServerLink& link, const ConnectionOptions& options,
                                    LinkState& state, Clock::time_point latest,
                                    ServerFacts& server) {
  const Clock::time_point by = std::min(latest, Clock::now() + options.handshake_timeout);
  Status status = co_await exchange_hello(link, options, state, by, server);
  if (status.is_ok()) status = co_await measure_rtt(link, by, server);
  co_return status;
}

Status check_version(const fbs::Welcome& welcome, const Endpoint& server) {
  const std::uint16_t version = welcome.protocol_version();
  if (version >= kSpokenVersions.lowest && version <= kSpokenVersions.highest) return Status::ok();
  return {StatusCode::kMismatch, to_string(server) + ": the server goes on in protocol version " +
                                     std::to_string(version) + ", which this agent did not offer"};
}

void keep_pause(const fbs::Error& error, const ConnectionOptions& options, LinkState& state) {
  if (error.retry_after_ms() == 0) return;
  const std::chrono::milliseconds asked(error.retry_after_ms());
  state.quiet_until =
      std::max(state.quiet_until, Clock::now() + std::min(asked, options.longest_pause));
}

}  // namespace cleave::agent
